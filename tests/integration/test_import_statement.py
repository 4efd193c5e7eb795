"""`import_statement`: a statement becomes transactions batch by batch, and none of its entries is added twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from uuid import UUID

import psycopg
import pytest

from moneyflow.gateways.storage.file import FileStorage
from moneyflow.jobs.import_statement import ImportStatement
from moneyflow.platform.database import Database
from moneyflow.platform.errors import FenceLostError, UnavailableError
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from moneyflow.statements import importing
from moneyflow.statements.batches import Counts
from moneyflow.statements.reading.mapping import Given
from tests.support import people
from tests.support.books import events_of
from tests.support.imports import COFFEE, CSV, HEADER, OFX2, counts, lines, notes, requested
from workers.testing import run_jobs, temporary_storage


@pytest.fixture
def user_id(database: Database) -> UUID:
    return people.add(database)


@pytest.fixture
def app(settings: AllSettings, database: Database) -> Iterator[Database]:
    """Return the database as the API's role, which requests imports."""
    assert database.check() is None
    app = Database(settings.conninfo("app", application_name="test"), size=2)
    app.open()
    yield app
    app.close()


def _run(database: Database, *, kinds: tuple[str, ...] = ("import_statement",)) -> list[str]:
    with database.transaction() as session:
        return [one.outcome for one in run_jobs(session, kinds=kinds)]


def _imported(
    database: Database, app: Database, user_id: UUID, content: bytes | str, given: Given | None = None
) -> tuple[int, int, int]:
    """Import a statement; return how many of its rows were added, duplicate and refused."""
    import_id = requested(app, user_id, content, currency="EUR", given=given).id
    assert _run(database) == ["succeeded"]
    found = counts(database, import_id)
    assert found["outcome"] == "succeeded"
    return found["rows_added"], found["rows_duplicate"], found["rows_refused"]


def _read_on(database: Database, import_id: UUID, *, batches: int = 1000, limit: int = 2) -> Counts | None:
    """Read batches of an import in an attempt of its own, in this test's place of a worker."""
    left = iter([True] * (batches - 1) + [False])
    with database.transaction() as session:
        return importing.read_on(
            session,
            temporary_storage(),
            import_id,
            report=lambda *_: None,
            is_time_left=lambda: next(left),
            limit=limit,
        )


def test_a_job_imports_a_statement_and_leaves_an_event_for_each_transaction(
    database: Database, app: Database, settings: AllSettings, user_id: UUID
) -> None:
    import_id = requested(app, user_id, CSV).id
    with database.transaction() as session:
        again = enqueue(session, ImportStatement(import_id=import_id))
        ran = run_jobs(session, kinds=["import_statement"])

    assert [(one.job_id, one.outcome) for one in ran] == [(again, "succeeded")], "an import has one job"
    assert ran[0].result == {"read": 3, "added": 3, "duplicate": 0, "refused": 0}
    with database.transaction() as session:
        rows = session.fetch_all("select * from transactions order by id")
    assert [(row["kind"], str(row["amount"]), row["currency"], row["note"], row["import_id"]) for row in rows] == [
        ("expense", "3.20", "EUR", "Coffee", import_id),
        ("expense", "3.20", "EUR", "Coffee", import_id),
        ("income", "1500.00", "EUR", "Salary", import_id),
    ], "two equal purchases of a day are two"
    events = events_of(settings, "transaction.created")
    assert [event["subject"] for event in events] == [str(row["id"]) for row in rows]


def test_the_same_or_an_overlapping_file_adds_nothing_twice(database: Database, app: Database, user_id: UUID) -> None:
    january, february = "2026-01-31,-1,EUR,Bread", "2026-02-01,-2,EUR,Milk"

    assert _imported(database, app, user_id, lines([january, january])) == (2, 0, 0)
    assert _imported(database, app, user_id, lines([january, january])) == (0, 2, 0)
    assert _imported(database, app, user_id, lines([january, january, january, february])) == (2, 2, 0)
    assert _imported(database, app, user_id, lines([february, january])) == (0, 2, 0)
    # The bank writes the same entry in another style.
    assert _imported(database, app, user_id, "Datum;Betrag;Text;Verwendungszweck\n31.01.2026;-1,00;;bread \n") == (
        0,
        1,
        0,
    )


def test_entries_of_two_accounts_or_of_two_people_are_never_the_same(
    database: Database, app: Database, user_id: UUID
) -> None:
    fee = lines(["2026-01-31,-1,EUR,Fee"])

    assert _imported(database, app, user_id, fee, Given(account="Savings")) == (1, 0, 0)
    assert _imported(database, app, user_id, fee, Given(account="Current")) == (1, 0, 0)
    assert _imported(database, app, people.add(database), fee, Given(account="Savings")) == (1, 0, 0)
    assert _imported(database, app, user_id, fee, Given(account="savings")) == (1, 0, 0)


def test_an_entry_of_ofx_is_known_by_the_banks_id_whatever_else_changes(
    database: Database, app: Database, user_id: UUID
) -> None:
    def ofx(account: str, *entries: tuple[str, str]) -> str:
        rows = "".join(
            f"<STMTTRN><DTPOSTED>20260131<TRNAMT>-1<FITID>{bank_id}<NAME>{name}</STMTTRN>" for bank_id, name in entries
        )
        account = f"<CURDEF>EUR</CURDEF><BANKACCTFROM><ACCTID>{account}</ACCTID></BANKACCTFROM>"
        return f"{OFX2}<OFX><STMTRS>{account}<BANKTRANLIST>{rows}</BANKTRANLIST></STMTRS></OFX>"

    assert _imported(database, app, user_id, ofx("1", ("a", "x"), ("b", "x"), ("a", "x"))) == (2, 1, 0)
    assert _imported(database, app, user_id, ofx("1", ("a", "PENDING x"), ("c", "x"))) == (1, 1, 0)
    assert _imported(database, app, user_id, ofx("2", ("a", "x"))) == (1, 0, 0)


def test_a_transaction_that_was_deleted_does_not_come_again(database: Database, app: Database, user_id: UUID) -> None:
    assert _imported(database, app, user_id, CSV) == (3, 0, 0)
    with database.transaction() as session:
        session.execute("delete from transactions")

    assert _imported(database, app, user_id, CSV) == (0, 3, 0)


def test_an_attempt_that_ends_early_is_continued_from_its_last_batch(
    database: Database, app: Database, user_id: UUID
) -> None:
    rows = ["2026-01-31,-1,EUR,Bread"] * 3 + ["wrong"] + ["2026-01-31,-1,EUR,Bread"] * 3
    import_id = requested(app, user_id, lines(rows)).id

    assert _read_on(database, import_id, batches=1) is None
    assert counts(database, import_id)["rows_read"] == 2
    assert _read_on(database, import_id, batches=1) is None
    assert _run(database) == ["succeeded"]

    assert counts(database, import_id) == {
        "outcome": "succeeded", "rows_read": 7, "rows_added": 6, "rows_duplicate": 0, "rows_refused": 1
    }  # fmt: skip
    assert notes(database) == ["Bread"] * 6, "equal entries are numbered across attempts"
    assert _read_on(database, import_id) == Counts(), "it has ended"


def test_an_attempt_that_was_taken_over_writes_nothing(
    database: Database, app: Database, settings: AllSettings, user_id: UUID
) -> None:
    import_id = requested(app, user_id, lines([f"2026-01-31,-1,EUR,{number}" for number in range(6)])).id

    def take_over(*_: object) -> None:
        assert _read_on(database, import_id) is not None

    with database.transaction() as frozen, pytest.raises(FenceLostError):
        importing.read_on(frozen, temporary_storage(), import_id, report=take_over, is_time_left=lambda: True, limit=2)

    found = counts(database, import_id)
    assert (found["outcome"], found["rows_read"], found["rows_added"]) == ("succeeded", 6, 6)
    assert notes(database) == [str(number) for number in range(6)]
    assert len(events_of(settings, "transaction.created")) == 6


def test_the_first_thousand_refused_rows_are_kept_and_all_are_counted(
    database: Database, app: Database, user_id: UUID
) -> None:
    import_id = requested(app, user_id, lines(["2026-01-31,1,EUR,ok", *["2026-01-31,x,EUR,wrong"] * 1500])).id

    assert _run(database) == ["succeeded"]

    assert counts(database, import_id)["rows_refused"] == 1500
    with database.transaction() as session:
        kept = session.fetch_all("select row, line, reason from import_refusals order by row")
    assert len(kept) == 1000
    assert (kept[0]["row"], kept[0]["line"], kept[-1]["line"]) == (2, 3, 1002)
    assert "no number" in kept[0]["reason"]


def test_a_category_that_the_file_names_is_the_owners_of_this_name_and_kind(
    database: Database, app: Database, settings: AllSettings, user_id: UUID
) -> None:
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as owner:
        owner.execute(
            "insert into categories (id, user_id, kind, name) values (gen_random_uuid(), %(id)s, 'expense', 'Food')",
            {"id": user_id},
        )
    rows = ["2026-01-31,-1,EUR,a,FOOD", "2026-01-31,1,EUR,b,food", "2026-01-31,-1,EUR,c,Other"]

    _imported(database, app, user_id, "Date,Amount,Currency,Description,Category\n" + "\n".join(rows) + "\n")

    with database.transaction() as session:
        found = session.fetch_all(
            "select note, name from transactions left join categories on categories.id = category_id order by note"
        )
    assert [(row["note"], row["name"]) for row in found] == [("a", "Food"), ("b", None), ("c", None)]


def test_the_file_is_deleted_with_the_end_of_its_import(database: Database, app: Database, user_id: UUID) -> None:
    requested(app, user_id, CSV)
    with database.transaction() as session:
        (row,) = session.fetch_all("select key, expires_at from files")

    _run(database)

    assert row["expires_at"] is not None, "one whose import never ends is deleted too"
    with database.transaction() as session:
        assert session.fetch_all("select from files") == []
        assert [one["key"] for one in session.fetch_all("select key from file_deletions")] == [row["key"]]


def test_an_import_whose_file_is_missing_fails_and_says_what_to_do(
    database: Database, app: Database, user_id: UUID
) -> None:
    import_id = requested(app, user_id, CSV).id
    with database.transaction() as session:
        session.execute("delete from files")

    assert _run(database) == ["succeeded"], "there is nothing for operators to repair"

    with database.transaction() as session:
        row = session.fetch_one("select outcome, error from imports where id = %(id)s", {"id": import_id})
    assert row is not None
    assert row["outcome"] == "failed"
    assert "send it again" in row["error"]


def test_a_file_that_shows_later_that_it_is_no_statement_fails_and_keeps_what_was_added(
    database: Database, app: Database, user_id: UUID
) -> None:
    entry = "<STMTTRN><DTPOSTED>20260131<TRNAMT>-1<FITID>{}<NAME>x</STMTTRN>"
    rows = "".join(map(entry.format, range(5000)))
    import_id = requested(app, user_id, f"{OFX2}<OFX><CURDEF>EUR{rows}<!ENTITY x 'y'></OFX>").id

    assert _run(database) == ["succeeded"]

    found = counts(database, import_id)
    assert (found["outcome"], found["rows_added"], found["rows_duplicate"]) == ("failed", 5000, 0)


def test_a_storage_that_is_down_is_retried(
    database: Database, app: Database, user_id: UUID, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Down(FileStorage):
        @contextmanager
        def open(self, key: str, *, start: int = 0, size: int | None = None) -> Iterator[BinaryIO]:
            raise UnavailableError(f"the storage is down: {key} from {start}, {size} bytes")
            yield

    import_id = requested(app, user_id, CSV).id
    with database.transaction() as session:
        ran = run_jobs(session, kinds=["import_statement"], gateways=[Down(tmp_path_factory.mktemp("down"))])

    assert [one.outcome for one in ran] == ["retried"]
    assert counts(database, import_id)["outcome"] is None


def test_an_import_of_a_deleted_account_ends(database: Database, app: Database, user_id: UUID) -> None:
    import_id = requested(app, user_id, CSV).id
    with database.transaction() as session:
        session.execute("delete from users where id = %(id)s", {"id": user_id})

    assert _read_on(database, import_id) == Counts()
    assert _run(database) == ["succeeded"]
    assert notes(database) == []


def test_more_rows_than_a_file_may_have_end_the_import_with_what_to_do(
    database: Database, app: Database, user_id: UUID
) -> None:
    content = HEADER + COFFEE * 5
    import_id = requested(app, user_id, content).id

    with database.transaction() as session:
        done = importing.read_on(
            session, temporary_storage(), import_id, report=lambda *_: None, is_time_left=lambda: True, limit=2, most=3
        )

    assert done == Counts(read=2, added=2)
    with database.transaction() as session:
        row = session.fetch_one("select outcome, error from imports where id = %(id)s", {"id": import_id})
    assert row is not None
    assert (row["outcome"], "split it" in row["error"]) == ("failed", True)
