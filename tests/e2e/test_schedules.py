"""Schedules with real relays: each tick once, whichever of them is killed and when."""

import re
from datetime import datetime, timedelta

import pytest
from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.processes import Processes, free_port
from tests.support.waiting import eventually

_KEY = re.compile(r"schedule:each_second:(.*)Z")


def _ticks(database: Database) -> list[datetime]:
    """Return the ticks that were enqueued, in their order, by the keys of their jobs."""
    with database.transaction() as session:
        rows = session.fetch_all("select unique_key from jobs order by unique_key")
    found = [_KEY.fullmatch(row["unique_key"]) for row in rows]
    return [datetime.fromisoformat(f"{match[1]}+00:00") for match in found if match]


def _schedule(database: Database) -> DictRow:
    with database.transaction() as session:
        (row,) = session.fetch_all("select * from schedules")
    return row


def _are_gapless(ticks: list[datetime]) -> bool:
    seconds = [int(tick.timestamp()) for tick in ticks]
    return seconds == list(range(seconds[0], seconds[0] + len(seconds)))


def test_two_relays_enqueue_each_tick_once_through_the_kill_of_each(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    relays = [processes.relay(sabotage="ticks_each_second") for _ in range(2)]
    processes.worker()

    for victim in (0, 1):
        before = len(_ticks(database))
        eventually(lambda: len(_ticks(database)) >= before + 5, what="five ticks more")  # noqa: B023
        relays[victim].kill()
        relays.append(processes.relay(sabotage="ticks_each_second"))
    before = len(_ticks(database))
    eventually(lambda: len(_ticks(database)) >= before + 5, what="the third relay ticks")
    for relay in relays[2:]:
        relay.kill()

    ticks = _ticks(database)
    assert len(ticks) >= 15
    assert _are_gapless(ticks)
    with database.transaction() as session:
        ids = [row["id"] for row in session.fetch_all("select id from jobs where published_at is not null")]
    jobs.until_all(database, ids, "succeeded")
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize(("point", "enqueued"), [("relay.before_tick", 2), ("relay.ticked", 3)])
def test_a_relay_that_is_killed_around_the_commit_of_a_tick_leaves_all_of_it_or_nothing(
    platform: AllSettings, database: Database, processes: Processes, point: str, enqueued: int
) -> None:
    processes.relay(sabotage=f"ticks_each_second:{point}:3", wait_ready=False).wait()
    left, row = _ticks(database), _schedule(database)

    processes.relay(sabotage="ticks_each_second")
    eventually(lambda: len(_ticks(database)) >= len(left) + 3, what="the next relay ticks")

    assert len(left) == enqueued
    assert row["last_tick_at"] == left[-1]
    assert row["next_tick_at"] == left[-1] + timedelta(seconds=1)
    assert _are_gapless(_ticks(database))


def test_the_relay_as_it_is_deployed_declares_the_schedules_of_the_product(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.plain("-m", "workers.relay", RELAY_METRICS_PORT=str(free_port()))

    declared = ["checkpoint_audit", "partition_audit", "purge", "settle_payments", "sweep_files"]
    eventually(lambda: _names(database) == declared, what="its schedules are declared")


def _names(database: Database) -> list[str]:
    with database.transaction() as session:
        return [row["name"] for row in session.fetch_all("select name from schedules order by name")]
