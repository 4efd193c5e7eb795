"""Verification of a long audit log: every kind of bad row is named, at half of the speed of hashing the rows alone.

The long form, `make acceptance ARGS=events`, has 1,000,000 rows, and the machine to itself.
"""

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from moneyflow.audit import checkpoints
from moneyflow.audit.append import Entry, append
from moneyflow.audit.checkpoints import Checkpoint
from moneyflow.audit.verify import Chain, verify
from moneyflow.events.transaction import TransactionState, TransactionUpdated
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events import envelope
from moneyflow.platform.ids import new_id
from moneyflow.platform.telemetry.origin import Origin
from moneyflow.settings import AllSettings
from tests.support.audit_log import audit_log
from tests.support.servers import RealServers
from tests.support.storages import storage_in

_TOPIC, _PARTITIONS = "transaction.events", 3
_BATCH = 500
#: Of the rate of one SHA-256 for each row, read by a cursor of the server.
_LEAST = 0.5
_ROUNDS = 3

_IN_PARTITION_1 = "topic = 'transaction.events' and partition = 1 and position"
_FAULTS: dict[LiteralString, str] = {
    f"update audit.events set value = replace(encode(value, 'escape'), '12.34', '12.35')::bytea "
    f"where {_IN_PARTITION_1} = %(middle)s": "position {middle} was changed (event ",
    f"update audit.events set actor_id = 'another' where {_IN_PARTITION_1} = %(middle)s":
        "position {middle} was changed (event ",
    f"delete from audit.events where {_IN_PARTITION_1} = %(middle)s": "position {middle} was removed",
    f"""insert into audit.events
        select (jsonb_populate_record(e, jsonb_build_object('id', 'new', 'recorded_at', clock_timestamp()))).*
        from audit.events e where {_IN_PARTITION_1} = %(middle)s""": "position {middle} was inserted (event ",
    f"""with cut as (delete from audit.events where {_IN_PARTITION_1} > %(middle)s)
        update audit.chains set height = %(middle)s, head_hash = (
            select hash from audit.events where {_IN_PARTITION_1} = %(middle)s)
        where topic = 'transaction.events' and partition = 1""":
        "positions {after} to {last} were removed: the checkpoint ",
}  # fmt: skip


@pytest.fixture
def height(pytestconfig: pytest.Config) -> int:
    """Return how many rows each chain has."""
    rows: int = pytestconfig.getoption("--audit-rows")
    return rows // _PARTITIONS


@pytest.fixture
def log(settings: AllSettings, height: int) -> Iterator[Database]:
    """Return the log with three chains of this height."""
    with audit_log(settings) as database:
        for first in range(0, height, _BATCH):
            for partition in range(_PARTITIONS):
                entries = [_entry(offset) for offset in range(first, min(first + _BATCH, height))]
                with database.transaction() as session:
                    append(session, topic=_TOPIC, partition=partition, entries=entries)
        yield database


def _entry(offset: int) -> Entry:
    before = TransactionState(
        kind="expense", amount="12.34", currency="EUR", date=dt.date(2026, 1, 2), category_id=uuid4()
    )
    event = TransactionUpdated(
        sequence=2, user_id=uuid4(), transaction_id=uuid4(), before=before,
        after=before.model_copy(update={"amount": "12.50"}), changed=("amount", "note"),
    )  # fmt: skip
    origin = Origin(actor_id=str(event.user_id), correlation_id=str(new_id()))
    value = event.envelope(event_id=new_id(), source="/money-flow/api", origin=origin, time=dt.datetime.now(dt.UTC))
    return Entry(offset=offset, key=str(event.user_id).encode(), value=value, envelope=envelope.read(value))


@pytest.fixture
def checkpoint(log: Database, environment: dict[str, str]) -> Checkpoint:
    """Return a checkpoint of the whole log."""
    with storage_in(environment) as storage, log.transaction() as session:
        return checkpoints.take(session, storage, (b"a key",))


@pytest.fixture
def superuser(servers: RealServers, settings: AllSettings) -> Iterator[Database]:
    conninfo = make_conninfo(servers.postgres.superuser_conninfo(), dbname=settings.postgres_db)
    database = Database(conninfo, size=1)
    database.open()
    yield database
    database.close()


def _after(session: Session, tampering: LiteralString, middle: int, known: Checkpoint) -> list[Chain]:
    """Verify the log as it would be after a statement past every trigger, which is rolled back then."""
    session.execute("set local session_replication_role = replica")
    session.execute("set local statement_timeout = 0")
    session.execute(tampering, {"middle": middle})
    chains = list(verify(session, checkpoints=[known]))
    session.release()
    return chains


def test_a_changed_removed_inserted_and_cut_off_row_of_a_long_log_is_named(
    log: Database, superuser: Database, checkpoint: Checkpoint, height: int
) -> None:
    middle = height // 2
    places = {"middle": middle, "after": middle + 1, "last": height}

    with log.transaction() as session:
        sound = list(verify(session, checkpoints=[checkpoint]))
    with superuser.transaction() as session:
        found = {tampering: _after(session, tampering, middle, checkpoint) for tampering in _FAULTS}

    assert sound == [Chain(topic=_TOPIC, partition=at, rows=height, fault=None) for at in range(_PARTITIONS)]
    for tampering, expected in _FAULTS.items():
        first, named, third = (chain.fault or "" for chain in found[tampering])
        assert (first, third) == ("", "")
        assert named.startswith(expected.format(**places)), tampering


def test_verification_has_half_of_the_speed_of_one_hash_for_each_row(
    log: Database, settings: AllSettings, height: int, pytestconfig: pytest.Config
) -> None:
    """The bound counts in the long form alone, which keeps its figures."""
    folder = pytestconfig.getoption("--audit-results")
    rounds = [(_seconds(lambda: _hash_all(settings)), _seconds(lambda: _verify_all(log))) for _ in range(_ROUNDS)]

    rows, (floor, ours) = height * _PARTITIONS, (min(seconds) for seconds in zip(*rounds, strict=True))
    figures = {
        "rows": rows,
        "sha256_of_each_row_per_second": round(rows / floor),
        "verified_rows_per_second": round(rows / ours),
        "of_the_floor": round(floor / ours, 2),
        "of_the_floor_in_each_round": [round(one / other, 2) for one, other in rounds],
    }
    assert all(figures.values())
    if folder:
        (Path(folder) / "audit.json").write_text(json.dumps(figures, indent=2) + "\n")
        assert floor / ours >= _LEAST, figures


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _verify_all(log: Database) -> None:
    with log.transaction() as session:
        assert not [chain.fault for chain in verify(session) if chain.fault]


def _hash_all(settings: AllSettings) -> None:
    """Hash what a row's hash covers, row by row in the order of the chains, and check nothing."""
    query: LiteralString = (
        "select previous_hash, key, value from audit.events where topic = %s and partition = %s order by position"
    )
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        for partition in range(_PARTITIONS):
            with connection.cursor("floor") as cursor:
                cursor.itersize = 1000
                cursor.execute(query, (_TOPIC, partition), binary=True)
                for row in cursor:
                    hashlib.sha256(b"".join(row)).digest()
