"""A pooled connection is handed on as it was opened, whatever the transaction before has left on its session."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row

from moneyflow.platform.connections import leaves_state
from moneyflow.platform.database import Database, Session
from moneyflow.settings import AllSettings
from tests.support.waiting import eventually

#: What statements leave on a session; the last of each is run in a transaction that commits.
_LEFT = {
    "time zone": ["set time zone 'Asia/Tokyo'"],
    "setting": ["set statement_timeout = 7"],
    "setting by a function": ["select set_config('lock_timeout', '7', false)"],
    "setting in a part of a query": ["with x as (select set_config('work_mem', '9MB', false) y) select y from x"],
    "setting of the application": ["set app.user_id = '7'"],
    "setting after a comment": ["-- harmless\n/* select */ set datestyle = german"],
    "setting in a second statement": ["select 1; set timezone = 'Asia/Tokyo'"],
    "setting in a block": ["do $$ begin perform set_config('work_mem', '9MB', false); end $$"],
    "search path": ["set search_path = pg_catalog"],
    "role": ["set role none"],
    "session characteristics": ["set session characteristics as transaction read only"],
    "advisory lock": ["select pg_advisory_lock(7)"],
    "shared advisory lock": ["select pg_try_advisory_lock_shared(7, 8)"],
    "temporary table": ["create temporary table leftover (id integer)"],
    "temporary table by select": ["select 1 as id into temporary leftover"],
    "listener": ["listen leftover"],
    "prepared statement": ["prepare leftover as select 1"],
    "cursor with hold": ["declare leftover cursor with hold for select 1"],
    "replication role": ["set synchronous_commit = off"],
}  # fmt: skip

_SNAPSHOT = """
select (select jsonb_object_agg(name, setting) from pg_settings where name not like 'plpgsql.%') as settings,
       current_user as role, session_user as login, current_setting('app.user_id', true) as own,
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
       (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
       (select array_agg(channel) from pg_listening_channels() as channel) as channels,
       (select count(*) from pg_prepared_statements where from_sql) as prepared,
       (select count(*) from pg_cursors where is_holdable) as cursors
"""


@pytest.fixture
def one(settings: AllSettings) -> Iterator[Database]:
    """Return a database of one connection."""
    database = Database(settings.conninfo("worker", application_name="test"), size=1)
    database.open()
    yield database
    database.close()


def _snapshot(database: Database) -> dict[str, Any]:
    with database.transaction() as session:
        row = session.fetch_one(_SNAPSHOT)
    assert row is not None
    return row | {"own": row["own"] or None}


def _backend(session: Session) -> int:
    row = session.fetch_one("select pg_backend_pid() as pid")
    assert row is not None
    return int(row["pid"])


@pytest.mark.parametrize("ends", ["committed", "rolled back", "in autocommit mode"])
@pytest.mark.parametrize("what", _LEFT)
def test_nothing_is_left_on_a_session_for_the_next_transaction(what: str, ends: str, one: Database) -> None:
    before = _snapshot(one)

    with one.autocommit() if ends == "in autocommit mode" else one.transaction() as session:
        for statement in _LEFT[what]:
            session.execute(statement)
        if ends == "rolled back":
            session.commit()
            session.execute("select 1")
            session.release()

    assert _snapshot(one) == before


def test_the_seed_of_random_numbers_is_not_left(one: Database) -> None:
    drawn = set()
    for _ in range(3):
        with one.transaction() as session:
            session.execute("select setseed(0.5)")
        with one.transaction() as session:
            row = session.fetch_one("select random() as number")
            assert row is not None
            drawn.add(row["number"])

    assert len(drawn) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda connection: setattr(connection, "row_factory", tuple_row),
        lambda connection: setattr(connection, "prepare_threshold", None),
        lambda connection: connection.execute("set timezone = 'Asia/Tokyo'"),
        lambda connection: connection.cursor().executemany("set timezone = 'Asia/Tokyo'", [()]),
    ],
    ids=["rows", "prepared statements", "statement", "statements"],
)
def test_what_a_caller_does_with_the_connection_of_a_cursor_is_not_left(
    change: Callable[[Any], Any], one: Database
) -> None:
    before = _snapshot(one)

    with one.transaction() as session:
        change(session.execute("select 1").connection)

    assert _snapshot(one) == before


def test_plain_statements_keep_their_session_and_its_prepared_statements(one: Database) -> None:
    backends = set()
    for _ in range(20):
        with one.transaction() as session:
            backends.add(_backend(session))

    with one.transaction() as session:
        row = session.fetch_one("select count(*) as prepared from pg_prepared_statements where not from_sql")
    assert len(backends) == 1
    assert row is not None
    assert row["prepared"] >= 1


def test_a_statement_that_is_prepared_runs_again_after_the_session_was_discarded(one: Database) -> None:
    for _ in range(3):
        for _ in range(8):
            with one.transaction() as session:
                assert session.fetch_one("select %(n)s::int + 1 as two", {"n": 1}) == {"two": 2}
        with one.transaction() as session:
            session.execute("set work_mem = '9MB'")


def test_a_lock_of_a_session_is_free_for_others_as_soon_as_its_block_has_ended(
    one: Database, database: Database
) -> None:
    for _ in range(20):
        for pool in (one, database):
            with pool.transaction() as session:
                assert session.fetch_one("select pg_try_advisory_lock(7) as held") == {"held": True}


def test_a_session_runs_no_statement_after_its_block(one: Database) -> None:
    with one.transaction() as session:
        session.execute("select 1")

    with pytest.raises(RuntimeError, match="this session has ended with its block"):
        session.execute("select 1")

    with one.transaction() as other:
        assert _backend(other), "the one connection is free"


def test_a_session_that_cannot_be_discarded_is_closed(one: Database, database: Database) -> None:
    with one.transaction() as session:
        session.execute("set timezone = 'Asia/Tokyo'")
        session.commit()
        backend = _backend(session)
        session.commit()
        with database.transaction() as other:
            other.execute("select pg_terminate_backend(%(pid)s)", {"pid": backend})
        eventually(lambda: not _is_there(database, backend), what="the connection has ended")

    with one.transaction() as session:
        assert session.fetch_one("show timezone") == {"TimeZone": "UTC"}


def _is_there(database: Database, backend: int) -> bool:
    with database.transaction() as session:
        return session.fetch_one("select 1 from pg_stat_activity where pid = %(pid)s", {"pid": backend}) is not None


def test_no_function_of_the_schema_leaves_anything_that_the_text_of_a_statement_does_not_show(
    settings: AllSettings,
) -> None:
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        functions = connection.execute(
            "select proname, prosrc, proconfig from pg_proc where pronamespace = 'public'::regnamespace "
            "and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')"
        ).fetchall()
    # Of an extension's functions, which are in C, the name shows it.
    assert leaves_state("select set_limit(0.5)")

    for name, source, _ in functions:
        body = source.partition("begin")[2] or source
        assert not leaves_state(f"select {body.replace(';', ' ')}"), f"{name} changes the session of its caller"
