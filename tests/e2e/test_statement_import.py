"""Imports by real workers that die: each row is added once; and how fast and in how much memory 100,000 are.

The short form runs with `make test`; `make acceptance ARGS=import` reads 100,000 rows, and keeps what came of them.
"""

import csv
import datetime as dt
import io
import json
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from ofxtools.Parser import OFXTree

from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import imports, people
from tests.support.imports import HEADER, OFX2
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

#: Rows of the short form: four batches.
_SHORT = 4000
#: What an import may take, of a long statement.
_MOST_MIB, _LEAST_SHARE = 100, 0.3
#: One row in so many is wrong, and one in so many is equal to the one before it.
_WRONG, _EQUAL = 100, 10
_COPY = "copy transactions (id, user_id, kind, amount, currency, date, note) from stdin"


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    """Return how many rows a statement has."""
    return int(pytestconfig.getoption("--import-rows"))


@pytest.fixture
def app(settings: AllSettings, database: Database) -> Iterator[Database]:
    assert database.check() is None
    app = Database(settings.conninfo("app", application_name="test"), size=1)
    app.open()
    yield app
    app.close()


def _values(number: int) -> tuple[str, str, str]:
    """Return day, amount and note of a row; every tenth is equal to the one before it."""
    number -= number % _EQUAL == _EQUAL - 1
    day = dt.date(2020, 1, 1) + dt.timedelta(days=number // 60)
    return day.isoformat(), f"-{number % 9_000 + 100}.{number % 100:02}", f"Card payment {number}, shop {number % 700}"


def _csv(count: int, *, wrong: bool = False) -> bytes:
    text = io.StringIO()
    text.write(HEADER)
    writer = csv.writer(text)
    for number in range(count):
        day, amount, note = _values(number)
        is_wrong = wrong and number % _WRONG == 1
        writer.writerow([day, "none" if is_wrong else amount, "EUR", note])
    return text.getvalue().encode()


def _ofx(count: int) -> bytes:
    rows = []
    for number in range(count):
        day, amount, note = _values(number)
        rows.append(
            f"<STMTTRN><TRNTYPE>DEBIT</TRNTYPE><DTPOSTED>{day.replace('-', '')}120000</DTPOSTED>"
            f"<TRNAMT>{amount}</TRNAMT><FITID>{number}</FITID><NAME>{note}</NAME></STMTTRN>\n"
        )
    account = "<CURDEF>EUR</CURDEF><BANKACCTFROM><BANKID>1</BANKID><ACCTID>2</ACCTID></BANKACCTFROM>"
    head = f"{OFX2}<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{account}<BANKTRANLIST>\n"
    return f"{head}{''.join(rows)}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n".encode()


def _requested(app: Database, settings: AllSettings, user_id: UUID, content: bytes) -> UUID:
    return imports.requested(app, user_id, content, storage=storage_of(settings.only(StorageSettings))).id


def _until_read(database: Database, import_id: UUID, *, count: int) -> dict[str, Any]:
    eventually(
        lambda: imports.counts(database, import_id)["outcome"] is not None,
        seconds=60 + count / 500,
        what="the import has ended",
    )
    return imports.counts(database, import_id)


def _stored(database: Database, user_id: UUID) -> int:
    with database.transaction() as session:
        row = session.fetch_one("select count(*) as n from transactions where user_id = %(id)s", {"id": user_id})
    assert row is not None
    return int(row["n"])


def _rows_read(database: Database, import_id: UUID) -> int:
    return int(imports.counts(database, import_id)["rows_read"])


@pytest.mark.timeout(900)
def test_a_statement_whose_workers_are_killed_twice_in_the_middle_is_imported_once(
    platform: AllSettings,
    database: Database,
    app: Database,
    processes: Processes,
    count: int,
    pytestconfig: pytest.Config,
) -> None:
    user_id, content = people.add(database), _csv(count, wrong=True)
    wrong = len(range(1, count, _WRONG))
    quarter = count // 1000 // 4
    # The first commit of an attempt has no rows: each writes a quarter of them, and one has the next batch lost.
    deaths = [f"session.before_commit:{quarter + 2}", f"session.after_commit:{quarter + 1}"]

    import_id = _requested(app, platform, user_id, content)
    processes.relay(wait_ready=False)
    seen = []
    for death in deaths:
        worker = processes.worker(sabotage=f"dies_at:{death}", wait_ready=False)
        worker.wait(60 + count // 500)
        seen.append(_rows_read(database, import_id))
    processes.worker(wait_ready=False)
    first = _until_read(database, import_id, count=count)
    again = _until_read(database, _requested(app, platform, user_id, content), count=count)

    assert 0 < seen[0] < seen[1] < count, "each died in the middle"
    assert first == {
        "outcome": "succeeded", "rows_read": count, "rows_added": count - wrong, "rows_duplicate": 0,
        "rows_refused": wrong,
    }  # fmt: skip
    assert (again["rows_added"], again["rows_duplicate"]) == (0, count - wrong)
    assert _stored(database, user_id) == count - wrong
    _keep(
        pytestconfig,
        "killed",
        {"rows": count, "wrong": wrong, "killed_after_rows": seen, "added": first["rows_added"], "added_again": 0},
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("form", ["csv", "ofx"])
def test_an_import_is_at_least_a_third_as_fast_as_a_bare_parser_and_copy_in_little_memory(
    form: str,
    platform: AllSettings,
    database: Database,
    app: Database,
    processes: Processes,
    count: int,
    pytestconfig: pytest.Config,
) -> None:
    content = _csv(count) if form == "csv" else _ofx(count)
    relay = processes.relay(wait_ready=False)
    worker = processes.worker()
    # The first import has the process load what it needs, and Postgres plan its statements.
    _until_read(database, _requested(app, platform, people.add(database), _csv(10)), count=10)
    before = _memory(worker, "VmRSS")

    # Before and after, because what else the machine does changes.
    earlier = _bare_seconds(platform, people.add(database), form, content)
    user_id = people.add(database)
    import_id = _requested(app, platform, user_id, content)
    eventually(lambda: _rows_read(database, import_id) > 0, what="the import has begun")
    relay.signal(signal.SIGSTOP)  # It publishes the events meanwhile, and has no machine of its own here.
    counted = _until_read(database, import_id, count=count)
    relay.signal(signal.SIGCONT)
    grown = _memory(worker, "VmHWM") - before
    ours = count / _seconds(database, import_id)
    bare = 2 * count / (earlier + _bare_seconds(platform, people.add(database), form, content))

    assert counted["rows_added"] == _stored(database, user_id) == count
    assert grown < _MOST_MIB
    if count > _SHORT:  # A short one is over before it is as fast as it can be.
        assert ours > _LEAST_SHARE * bare, f"{ours:.0f} rows/s, and a bare parser with COPY {bare:.0f}"
    _keep(
        pytestconfig,
        form,
        {
            "rows": count,
            "bytes": len(content),
            "rows_per_second": round(ours),
            "rows_per_second_of_a_bare_parser_and_copy": round(bare),
            "share": round(ours / bare, 2),
            "memory_growth_mib": round(grown, 1),
        },
    )


def _memory(worker: Process, name: str) -> float:
    """Return the memory that a worker has, or has had at most, in MiB."""
    assert worker.popen is not None
    lines = Path(f"/proc/{worker.popen.pid}/status").read_text(encoding="ascii").splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(kibibytes) / 1024


def _seconds(database: Database, import_id: UUID) -> float:
    """Return the seconds from the start of the job's first attempt to the end of the import."""
    with database.transaction() as session:
        row = session.fetch_one(
            "select extract(epoch from finished_at - (select min(started_at) from job_attempts "
            "where job_attempts.job_id = imports.job_id)) as seconds from imports where id = %(id)s",
            {"id": import_id},
        )
    assert row is not None
    return float(row["seconds"])


def _bare_seconds(settings: AllSettings, user_id: UUID, form: str, content: bytes) -> float:
    """Return the seconds of a bare parser that copies what it reads: no events, no keys, nothing that is resumed."""
    began = time.monotonic()
    rows = _bare_csv(content) if form == "csv" else _bare_ofx(content)
    with (
        psycopg.connect(settings.conninfo("worker", application_name="test")) as connection,
        connection.cursor().copy(_COPY) as copy,
    ):
        for day, amount, note in rows:
            copy.write_row((new_id(), user_id, "expense", -amount, "EUR", day, note))
    return time.monotonic() - began


def _bare_csv(content: bytes) -> Iterator[tuple[dt.date, Decimal, str]]:
    for row in csv.DictReader(io.StringIO(content.decode())):
        yield dt.date.fromisoformat(row["Date"]), Decimal(row["Amount"]), row["Description"]


def _bare_ofx(content: bytes) -> Iterator[tuple[dt.date, Decimal, str]]:
    tree = OFXTree()
    for row in tree.parse(io.BytesIO(content)).iter("STMTTRN"):
        posted, amount, name = (row.findtext(tag) or "" for tag in ("DTPOSTED", "TRNAMT", "NAME"))
        yield dt.datetime.strptime(posted[:8], "%Y%m%d").date(), Decimal(amount), name  # noqa: DTZ007


def _keep(config: pytest.Config, name: str, figures: dict[str, Any]) -> None:
    """Write the figures next to the result, when a folder for it is given."""
    if folder := config.getoption("--import-results"):
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
