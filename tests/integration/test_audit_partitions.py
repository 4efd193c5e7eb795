"""The audit log's months: rows are in the partition of their month, each event once in all, and none is changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from moneyflow.audit import partitions
from moneyflow.audit.append import append
from moneyflow.audit.verify import verify
from moneyflow.jobs.partition_audit import PartitionAudit
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support.audit_log import audit_log, entry, tamper
from tests.support.command_line import moneyflow, moneyflow_json
from tests.support.servers import RealServers
from workers.testing import run_jobs

_PLACE: dict[str, Any] = {"topic": "user.events", "partition": 0}
_MONTH_AGO = datetime.now(UTC) - timedelta(days=31)
#: Rows 1 to 3 are of an old month, which has its partition.
_AGE = """
set role audit_owner;
select audit.make_partition('2025-03-01Z');
reset role;
create temporary table old as select * from audit.events where position <= 3;
delete from audit.events where position <= 3;
update old set recorded_at = '2025-03-05Z';
insert into audit.events select * from old;
"""
#: A row in the default partition, and a seal.
_ONE_IN_EACH = """
insert into audit.events select (jsonb_populate_record(e, '{"position": 9, "recorded_at": "2020-01-05Z"}')).*
from audit.events e;
insert into audit.seals values ('user.events', 0, 1, '', '', null, '', now(), '');
"""


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    with audit_log(settings) as database:
        yield database


def _append(log: Database, *entries: Any) -> int:
    with log.transaction() as session:
        return append(session, **_PLACE, entries=entries)


def _partitions(log: Database) -> dict[int, str]:
    with log.transaction() as session:
        rows = session.fetch_all("select position, tableoid::regclass::text as name from audit.events order by 1")
    return {row["position"]: row["name"].removeprefix("audit.") for row in rows}


def _faults(log: Database) -> list[str | None]:
    with log.transaction() as session:
        return [chain.fault for chain in verify(session)]


def test_a_row_is_in_the_partition_of_the_month_in_which_it_was_recorded(log: Database) -> None:
    _append(log, entry(0), entry(1, time=_MONTH_AGO))

    assert set(_partitions(log).values()) == {f"events_{datetime.now(UTC):%Y_%m}"}


@pytest.mark.parametrize("time", [_MONTH_AGO, datetime.now(UTC), datetime(2999, 1, 1, tzinfo=UTC)])
def test_an_event_that_comes_again_months_later_is_not_appended_again(
    log: Database, settings: AllSettings, servers: RealServers, time: datetime
) -> None:
    first = entry(0, time=datetime(2025, 3, 4, tzinfo=UTC) if time == _MONTH_AGO else time)
    _append(log, first, entry(1), entry(2), entry(3))
    if time <= _MONTH_AGO or time.year == 2999:
        tamper(servers, settings, _AGE)

    again = _append(log, first, entry(5))

    assert (again, _faults(log)) == (1, [None])


def test_a_month_without_a_partition_loses_no_row_and_its_rows_stay_together(
    log: Database, settings: AllSettings, servers: RealServers, database: Database
) -> None:
    name = f"events_{datetime.now(UTC):%Y_%m}"
    tamper(servers, settings, f"drop table audit.{name}")

    _append(log, entry(0), entry(1))
    with database.transaction() as session:
        made = partitions.make(session)
    _append(log, entry(2))

    assert made == 0, "the default partition has rows of this month"
    assert (set(_partitions(log).values()), _faults(log)) == ({"events_default"}, [None])


def test_the_daily_job_makes_the_months_that_are_missing(
    database: Database, settings: AllSettings, servers: RealServers
) -> None:
    with database.transaction() as session:
        row = session.fetch_one("select to_char(now() + interval '2 months', 'YYYY_MM') as month")
    assert row is not None
    tamper(servers, settings, f"drop table audit.events_{row['month']}")

    with database.transaction() as session:
        enqueue(session, PartitionAudit())
        (first,) = run_jobs(session)
        enqueue(session, PartitionAudit())
        (second,) = run_jobs(session)

    assert (first.result, second.result) == ({"made": 1}, {"made": 0})


@pytest.mark.parametrize(
    "act",
    [
        "update audit.events set type = 'x'",
        "delete from audit.events",
        "delete from audit.events_default",
        "truncate audit.events",
        "truncate audit.events_default",
        "delete from audit.chains",
        "update audit.chains set height = height - 1",
        "delete from audit.seals",
    ],
)
def test_triggers_refuse_what_even_the_owner_may_not_do(
    log: Database, settings: AllSettings, servers: RealServers, act: str
) -> None:
    _append(log, entry(0))
    tamper(servers, settings, _ONE_IN_EACH)

    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        connection.execute("set role audit_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="keeps its rows"):
            connection.execute(act)


def test_an_old_month_is_dropped_as_the_runbook_says_and_the_rest_is_verified_from_a_checkpoint(
    log: Database, settings: AllSettings, servers: RealServers, environment: dict[str, str]
) -> None:
    _append(log, *(entry(offset) for offset in range(6)))
    tamper(servers, settings, _AGE)
    taken = moneyflow_json(environment, "audit", "checkpoint")["checkpoints"][0]["checkpoint"]
    _append(log, entry(6))

    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute("set role audit_owner")
        connection.execute("alter table audit.events detach partition audit.events_2025_03")
        connection.execute("drop table audit.events_2025_03")

    assert moneyflow(environment, "audit", "verify", "--from", taken).returncode == 0
    assert _faults(log) == ["position 1 was removed"]
