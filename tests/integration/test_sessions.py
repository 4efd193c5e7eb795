"""A session is one transaction at most: its limits are set, and what follows a commit follows only a commit."""

import ctypes
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import psycopg
import pytest
from psycopg import errors

from moneyflow.platform.connections import _TRUSTED_SECONDS
from moneyflow.platform.database import SESSION_OPTIONS, Database, Session, is_outage, is_transient
from moneyflow.platform.errors import PostgresDownError
from moneyflow.settings import AllSettings, load_all
from tests.support.processes import free_port
from tests.support.waiting import eventually


@contextmanager
def _database(settings: AllSettings, *, options: str | None = None, size: int = 2) -> Iterator[Database]:
    """Open a database of its own, with other session options when given."""
    conninfo = settings.conninfo("worker", application_name="test")
    database = Database(conninfo, size=size, timeout_seconds=0.5)
    if options is not None:
        assert isinstance(database._pool.kwargs, dict)
        database._pool.kwargs["options"] = options
    database.open()
    yield database
    database.close()


def test_the_limits_are_set_on_every_session(database: Database) -> None:
    expected = {
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "TimeZone": "UTC",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
    }

    with database.transaction() as session:
        rows = session.fetch_all("select name, current_setting(name) as value from pg_settings")

    assert {row["name"]: row["value"] for row in rows if row["name"] in expected} == expected


def test_a_statement_that_takes_too_long_is_ended(settings: AllSettings) -> None:
    options = SESSION_OPTIONS.replace("statement_timeout=30s", "statement_timeout=50ms")
    with (
        _database(settings, options=options) as database,
        pytest.raises(errors.QueryCanceled, match="statement timeout"),
        database.transaction() as session,
    ):
        session.execute("select pg_sleep(10)")


def test_postgres_is_asked_again_every_second_or_two_however_long_it_was_down(settings: AllSettings) -> None:
    asked: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        down = settings.model_copy(update={"postgres_host": "127.0.0.1", "postgres_port": server.getsockname()[1]})
        threading.Thread(target=_refuse_all, args=(server, asked), daemon=True).start()

        with _database(down) as database:
            while not asked or time.monotonic() - asked[0] < 8:
                with suppress(PostgresDownError), database.transaction() as session:
                    session.execute("select 1")
        server.shutdown(socket.SHUT_RDWR)

    assert max(later - earlier for earlier, later in pairwise([*asked, time.monotonic()])) < 2.5


def _refuse_all(server: socket.socket, asked: list[float]) -> None:
    """Close each connection at once, as a server that is down does, and keep when it was asked."""
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            asked.append(time.monotonic())
            connection.close()


def test_a_transaction_that_is_forgotten_is_ended_and_its_connection_replaced(
    settings: AllSettings, database: Database
) -> None:
    options = SESSION_OPTIONS.replace("session_timeout=60s", "session_timeout=50ms")
    with _database(settings, options=options, size=1) as forgetful:
        with forgetful.transaction() as session:
            backend = _backend(session)
            eventually(lambda: not _runs(database, backend), what="Postgres ended the session")
            with pytest.raises(errors.IdleInTransactionSessionTimeout):
                session.execute("select 1")
            session.release()

        with forgetful.transaction() as session:
            assert _backend(session) != backend


def _backend(session: Session) -> int:
    row = session.fetch_one("select pg_backend_pid() as pid")
    assert row is not None
    return int(row["pid"])


def _runs(database: Database, backend: int) -> bool:
    with database.transaction() as session:
        return bool(session.fetch_all("select 1 from pg_stat_activity where pid = %(pid)s", {"pid": backend}))


def test_a_block_that_raises_leaves_nothing_and_runs_no_callback(database: Database) -> None:
    called: list[str] = []

    def work() -> None:
        with database.transaction() as session:
            session.execute("insert into workers (name, lease_seconds) values ('x', 1)")
            session.after_commit(lambda: called.append("after"))
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        work()
    with database.transaction() as session:
        assert session.fetch_all("select * from workers") == []
    assert called == []


def test_a_callback_is_called_once_after_the_commit_and_its_error_fails_no_other(database: Database) -> None:
    called: list[str] = []

    def broken() -> None:
        called.append("broken")
        raise OSError("broken")

    def good() -> None:
        called.append("good")

    with database.transaction() as session:
        session.execute("insert into workers (name, lease_seconds) values ('x', 1)")
        for callback in (broken, good):
            session.after_commit(callback)
        assert called == []

    with database.transaction() as session:
        assert len(session.fetch_all("select * from workers")) == 1
    assert called == ["broken", "good"]


def test_a_part_that_is_not_kept_leaves_neither_rows_nor_callbacks_and_the_rest_commits(database: Database) -> None:
    add, called = "insert into event_sequences (key, sequence) values (%(key)s, 1)", list[str]()

    def part(session: Session, key: str) -> None:
        session.execute(add, {"key": key})
        session.after_commit(lambda: called.append(key))

    with database.transaction() as session:
        part(session, "before")
        with session.savepoint() as kept:
            part(session, "kept")
            with session.savepoint():
                part(session, "undone within")
            kept.keep()
        with session.savepoint():
            part(session, "undone")
            with session.savepoint() as within:
                part(session, "kept within what is undone")
                within.keep()
            with session.savepoint():
                part(session, "undone within what is undone")

    with database.transaction() as session:
        left = [row["key"] for row in session.fetch_all("select key from event_sequences order by key")]
    assert left == called == ["before", "kept"]


def test_a_session_that_runs_nothing_takes_no_connection(settings: AllSettings) -> None:
    with _database(settings, size=1) as database, database.transaction() as held:
        held.execute("select 1")

        with database.transaction() as idle:
            assert idle is not held


def test_when_all_connections_are_taken_the_wait_is_bounded(settings: AllSettings) -> None:
    with _database(settings, size=1) as database, database.transaction() as held:
        held.execute("select 1")

        with pytest.raises(PostgresDownError), database.transaction() as session:
            session.execute("select 1")


def test_a_released_connection_serves_the_next_and_keeps_no_transaction(settings: AllSettings) -> None:
    with _database(settings, size=1) as database, database.transaction() as first:
        first.execute("insert into workers (name, lease_seconds) values ('x', 1)")
        first.release()

        with database.transaction() as second:
            assert second.fetch_all("select * from workers") == []


def test_a_connection_that_was_cut_while_it_idled_is_replaced(settings: AllSettings, database: Database) -> None:
    with _database(settings, size=1) as victim:
        with victim.transaction() as session:
            backend = _backend(session)
        with database.transaction() as session:
            session.execute("select pg_terminate_backend(%(pid)s)", {"pid": backend})
        eventually(lambda: not _runs(database, backend), what="the session has ended")
        cut_at = time.monotonic()
        eventually(lambda: time.monotonic() - cut_at > _TRUSTED_SECONDS, what="it is no longer trusted unasked")

        with victim.transaction() as session:
            assert session.fetch_one("select 1 as one") == {"one": 1}


def test_a_postgres_that_is_down_delays_no_start_and_is_an_outage() -> None:
    down = load_all({"SECRET_KEY": "k" * 40, "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(free_port())})

    with _database(down) as database:
        with pytest.raises(PostgresDownError) as caught, database.transaction() as session:
            session.execute("select 1")

        assert is_outage(caught.value)


@pytest.mark.parametrize(
    ("sql", "outage"),
    [
        ("select pg_terminate_backend(pg_backend_pid())", True),
        ("select 1 / 0", False),
        ("select * from nowhere", False),
        ("insert into workers (name) values (null)", False),
    ],
)
def test_an_outage_is_distinguished_from_a_refusal(sql: str, outage: bool, database: Database) -> None:
    with pytest.raises(psycopg.Error) as caught, database.transaction() as session:
        session.execute(sql)

    assert is_outage(caught.value) is outage
    assert is_transient(caught.value) is outage


def test_a_deadlock_is_no_outage_and_its_victim_leaves_nothing(database: Database) -> None:
    with database.transaction() as session:
        session.execute("insert into workers (name, lease_seconds) values ('a', 1), ('b', 1)")
    both, caught = threading.Barrier(2, timeout=10), []

    def lock(first: str, second: str) -> None:
        try:
            with database.transaction() as session:
                session.execute("update workers set lease_seconds = 2 where name = %(name)s", {"name": first})
                both.wait()
                session.execute("update workers set lease_seconds = 2 where name = %(name)s", {"name": second})
        except psycopg.Error as error:
            caught.append(error)

    threads = [threading.Thread(target=lock, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [type(error) for error in caught] == [errors.DeadlockDetected]
    assert not is_outage(caught[0])
    assert is_transient(caught[0]), "the same work may do in a moment"


def test_a_connection_that_breaks_in_autocommit_is_an_outage_and_is_replaced(
    settings: AllSettings, database: Database
) -> None:
    with _database(settings, size=1) as victim:
        with pytest.raises(psycopg.OperationalError) as caught, victim.autocommit() as session:
            session.execute("select pg_terminate_backend(pg_backend_pid())")
        assert is_outage(caught.value)

        with victim.autocommit() as session:
            assert session.fetch_one("select 1 as one") == {"one": 1}
        with victim.transaction() as session:
            session.execute("insert into workers (name, lease_seconds) values ('dropped', 1)")
            session.release()
    with database.transaction() as session:
        assert session.fetch_all("select * from workers") == [], "an ordinary transaction is one again"


_ADD = "insert into workers (name, lease_seconds) values (%(name)s, 1)"
_RENAME = "update workers set name = %(new)s where name = %(old)s or name = %(old)s || '%%'"


@pytest.fixture
def small(settings: AllSettings) -> Iterator[Database]:
    """Return a database with a single connection, so that each session gets it as the last one left it."""
    with _database(settings, size=1) as database:
        yield database


def _names(database: Database) -> list[str]:
    with database.transaction() as session:
        return [row["name"] for row in session.fetch_all("select name from workers order by name")]


def test_a_block_commits_what_it_did_and_one_that_raises_does_not(small: Database) -> None:
    def broken() -> None:
        with small.transaction() as session:
            session.execute(_ADD, {"name": "c"})
            raise OSError("broken")

    with small.transaction() as session:
        session.execute(_ADD, {"name": "a"})
        session.commit()
        session.commit()
        session.execute(_ADD, {"name": "b"})
    with pytest.raises(OSError, match="broken"):
        broken()

    assert _names(small) == ["a", "b"]


def test_what_cannot_be_committed_any_more_is_no_success(small: Database) -> None:
    def work() -> None:
        with small.transaction() as session:
            session.execute(_ADD, {"name": "a"})
            with suppress(errors.DivisionByZero):
                session.execute("select 1 / 0")

    with pytest.raises(errors.InFailedSqlTransaction):
        work()

    assert _names(small) == []


def test_rows_are_counted_however_the_connection_was_used_before(small: Database) -> None:
    def rename(session: Session, old: str, new: str | None) -> int:
        return session.count_rows(_RENAME, {"old": old, "new": new})

    with small.transaction() as session:
        session.execute(_ADD, {"name": "a%"})
    with small.transaction() as session:
        assert (rename(session, "a", "b"), rename(session, "a", "b")) == (1, 0)
    with pytest.raises(errors.NotNullViolation) as caught, small.transaction() as session:
        rename(session, "b", None)
    assert not is_outage(caught.value)
    for _ in range(10):  # psycopg prepares it by then, and lets all be forgotten when a table goes.
        with small.transaction() as session:
            session.execute("select name from workers where name = %(name)s", {"name": "b"})
    with small.transaction() as session:
        session.execute("create temporary table passing (x integer)")
        session.execute("drop table passing")
        assert rename(session, "b", "c") == 1
    with small.transaction() as session:
        assert rename(session, "c", "d") == 1

    assert _names(small) == ["d"]


@pytest.mark.parametrize("end", ["raises", "is refused", "is released", "rolls back after a table went"])
def test_rows_are_counted_after_a_rollback_of_a_connection_that_was_long_in_use(end: str, small: Database) -> None:
    """psycopg has prepared statements by then, and lets Postgres forget every one of the connection at a rollback."""

    def rename(old: str, new: str) -> int:
        with small.transaction() as session:
            session.execute("select name from workers where name = %(name)s", {"name": old})
            return session.count_rows(_RENAME, {"old": old, "new": new})

    def roll_back() -> None:
        with small.transaction() as session:
            session.count_rows(_RENAME, {"old": "a", "new": "b"})
            match end:
                case "raises":
                    raise OSError("broken")
                case "is refused":
                    session.execute("select 1 / 0")
                case "is released":
                    session.release()
                case _:
                    session.execute("create temporary table passing (x integer)")
                    session.execute("drop table passing")
                    raise OSError("broken")

    with small.transaction() as session:
        session.execute(_ADD, {"name": "a"})
    for _ in range(3):
        for _ in range(10):
            assert rename("a", "a") == 1
        with suppress(OSError, errors.DivisionByZero):
            roll_back()

    assert rename("a", "c") == 1
    assert _names(small) == ["c"]
    with small.transaction() as session:
        prepared = session.fetch_all("select name from pg_prepared_statements")
    assert len(prepared) < 10, "nothing piles up on the server"


def test_a_handlers_prepared_statement_with_a_name_of_psycopgs_fails_no_transaction(small: Database) -> None:
    with small.transaction() as session:
        session.execute(_ADD, {"name": "a"})
        session.execute("prepare _pg3_0 as select 1")

    for _ in range(20):  # psycopg prepares a statement when it runs for the sixth time.
        with small.transaction() as session:
            assert session.count_rows(_RENAME, {"old": "a", "new": "a"}) == 1


def _before_commit(settings: AllSettings, act: str) -> None:
    """Let Postgres run a statement within every COMMIT of a transaction that added a worker."""
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute(f"""
            create function act() returns trigger language plpgsql as
            $$ begin perform {act}; return null; end $$;
            create constraint trigger act after insert on workers deferrable initially deferred
            for each row execute function act();
        """)  # `act` is a literal of the tests below


@pytest.mark.parametrize(
    ("act", "error", "outage"),
    [
        ("1 / 0", errors.DivisionByZero, False),
        ("pg_terminate_backend(pg_backend_pid())", psycopg.OperationalError, True),
    ],
    ids=["is refused", "meets the end of the server"],
)
def test_a_commit_that_fails_leaves_nothing_and_calls_nothing_back(
    act: str, error: type[Exception], outage: bool, small: Database, settings: AllSettings
) -> None:
    called: list[str] = []
    _before_commit(settings, act)

    def work() -> None:
        with small.transaction() as session:
            session.execute(_ADD, {"name": "a"})
            session.after_commit(lambda: called.append("after"))

    with pytest.raises(error) as caught:
        work()

    assert is_outage(caught.value) is outage
    assert called == []
    assert _names(small) == []


class _Interrupt(BaseException):
    """What a time limit or a shutdown raises in a thread, wherever that is."""


def test_an_interrupt_within_a_statement_rolls_back_and_the_connection_serves_the_next_session(
    small: Database, database: Database
) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            with small.transaction() as session:
                session.execute(_ADD, {"name": "a"})
                session.execute("select pg_sleep(0.3)")
                session.execute(_ADD, {"name": "b"})
        except _Interrupt as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: _sleeps(database), what="the statement runs")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Interrupt))
    thread.join(20)

    assert [type(error) for error in caught] == [_Interrupt]
    assert _names(small) == []


def _sleeps(database: Database) -> bool:
    with database.transaction() as session:
        return bool(session.fetch_all("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))


@pytest.mark.parametrize("last", ["begin", "count", "commit"])
def test_a_connection_that_is_cut_is_an_outage_whatever_it_does_next(
    last: str, small: Database, database: Database
) -> None:
    def cut(backend: int) -> None:
        with database.transaction() as session:
            session.execute("select pg_terminate_backend(%(pid)s)", {"pid": backend})
        eventually(lambda: not _runs(database, backend), what="the session has ended")

    def work() -> None:
        with small.transaction() as session:
            session.execute(_ADD, {"name": "a"})
            backend = _backend(session)
            if last == "begin":
                session.commit()
            cut(backend)
            if last == "begin":
                session.execute(_ADD, {"name": "b"})
            elif last == "count":
                session.count_rows(_RENAME, {"old": "a", "new": "b"})

    with pytest.raises(psycopg.OperationalError) as caught:
        work()

    assert is_outage(caught.value)
    assert _names(small) == (["a"] if last == "begin" else [])
