"""Batches and chains with real processes: whatever dies, each member runs, and what follows follows once."""

import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from moneyflow.platform.brokers.job_message import encode
from moneyflow.platform.database import Database
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import Status
from moneyflow.platform.jobs.contract import Job
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.killer import Killer
from tests.support.kinds import Patient
from tests.support.members import Gather, Link, Spread
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually

#: Of workers and relays, at random; and batches at least, after which every message is published twice.
_KILLS, _BATCHES = 5, 5


def _submit(database: Database, *members: Job) -> tuple[UUID, UUID]:
    """Submit a batch and return its id and that of its end job."""
    with database.transaction() as session:
        batch_id = batches.submit(session, members, name="test", on_end=Gather())
        end_job_id = batches.status(session, batch_id).end_job_id
    assert end_job_id is not None
    return batch_id, end_job_id


def _status(database: Database, batch_id: UUID) -> Status:
    with database.transaction() as session:
        return batches.status(session, batch_id)


def _all_effects(database: Database) -> Counter[UUID]:
    with database.transaction() as session:
        return Counter(row["job_id"] for row in session.fetch_all("select job_id from effects"))


def _publish_twice(servers: RealServers, settings: AllSettings, database: Database) -> int:
    """Publish a second message of every job there is, as if the first had been lost."""
    with database.transaction() as session:
        ids = [(row["id"], row["kind"]) for row in session.fetch_all("select id, kind from jobs")]
    for job_id, kind in ids:
        body = encode(job_id, kind, timestamp_milliseconds=0)
        rabbitmq_admin.publish(servers, settings.rabbitmq_vhost, body.decode(), {"message_id": str(job_id)})
    return len(ids)


@pytest.mark.parametrize("point", ["dies_at:worker.before_finish:2", "dies_at:worker.finished:2"])
def test_a_chain_whose_worker_is_killed_continues_and_no_link_is_made_twice(
    point: str, platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage=point, wait_ready=False)
    jobs.enqueue(database, Link(more=3))
    dying.wait()

    processes.worker()
    eventually(lambda: len(_all_effects(database)) == 4, what="four links have run")

    with database.transaction() as session:
        rows = session.fetch_all("select state, payload, result from jobs order by enqueued_at")
    assert [row["payload"]["more"] for row in rows] == [3, 2, 1, 0]
    assert set(_all_effects(database).values()) == {1}
    eventually(lambda: {row["state"] for row in _rows(database)} == {"succeeded"}, what="all succeeded")


def _rows(database: Database) -> list[dict[str, str]]:
    with database.transaction() as session:
        return session.fetch_all("select state from jobs")


@pytest.mark.parametrize("point", ["dies_at:relay.before_batch_end:1", "dies_at:relay.batches_ended:1"])
def test_a_batch_whose_relay_dies_as_it_ends_it_has_its_end_run_once(
    point: str, platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.worker()
    dying = processes.relay(sabotage=point, wait_ready=False)
    batch_id, end_job_id = _submit(database, *[LeaveEffect() for _ in range(10)])
    dying.wait()
    left = (_status(database, batch_id).state, jobs.job(database, end_job_id)["waits_for"])

    processes.relay(wait_ready=False)
    jobs.until_all(database, [end_job_id], "succeeded")

    assert left == (("open", "batch") if "before" in point else ("ended", None))
    assert jobs.job(database, end_job_id)["result"] == {"counts": {"succeeded": 10}}
    assert jobs.effects(database, [end_job_id]) == {end_job_id: 1}


def test_a_batch_of_members_that_add_members_ends_after_the_last_and_every_message_came_twice(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    batch_id, end_job_id = _submit(database, Spread(depth=4, seconds=0.1))
    eventually(lambda: _status(database, batch_id).total > 3, what="members have added members")
    doubled = _publish_twice(servers, platform, database)

    jobs.until_all(database, [end_job_id], "succeeded")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="every message is done with")

    effects = _all_effects(database)
    assert doubled > 3
    assert _status(database, batch_id).counts == {"succeeded": 31}
    assert (len(effects), effects.total()) == (32, 32)
    assert jobs.job(database, end_job_id)["result"] == {"counts": {"succeeded": 31}}


def test_the_end_of_a_batch_waits_for_all_its_members_and_a_standby_ends_it_when_the_leader_is_killed(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    leader = processes.relay(wait_ready=False)
    processes.worker()
    eventually(lambda: leader.says("/metrics", "moneyflow_relay_leader 1.0"), what="the first relay leads")
    processes.relay()
    batch_id, end_job_id = _submit(database, *[LeaveEffect(seconds=0.3) for _ in range(20)])
    eventually(lambda: _status(database, batch_id).done > 3, what="some members have ended")
    waited = jobs.job(database, end_job_id)["state"]

    leader.kill()
    jobs.until_all(database, [end_job_id], "succeeded")

    last = max(row["finished_at"] for row in _members(database, batch_id))
    assert waited == "scheduled"
    assert jobs.job(database, end_job_id)["started_at"] > last
    assert jobs.effects(database, [end_job_id]) == {end_job_id: 1}


def _members(database: Database, batch_id: UUID) -> list[dict[str, Any]]:
    with database.transaction() as session:
        return session.fetch_all("select finished_at from jobs where batch_id = %(id)s", {"id": batch_id})


def test_cancelling_a_batch_stops_its_running_members_and_its_end_never_runs(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    processes.relay(wait_ready=False)
    processes.worker(WORKER_THREADS="2")
    batch_id, end_job_id = _submit(database, *[Patient(held_by=str(hold)) for _ in range(6)])
    eventually(lambda: _status(database, batch_id).counts.get("running") == 2, what="two members run")

    with database.transaction() as session:
        asked = batches.cancel(session, batch_id, reason="a mistake")
    eventually(lambda: _status(database, batch_id).counts == {"cancelled": 6}, what="all members have ended")

    assert asked == 6
    assert _status(database, batch_id).state == "cancelled"
    assert jobs.job(database, end_job_id)["state"] == "cancelled"
    assert _all_effects(database) == {}


@pytest.mark.timeout(300)
def test_every_batch_ends_once_while_workers_and_relays_are_killed_at_random(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    victims = [processes.relay(), processes.worker(), processes.relay(), processes.worker()]
    with Killer(victims, seconds=1.5, seed=5) as killer:
        submitted: list[tuple[UUID, UUID]] = []
        while killer.kills.total() < _KILLS or len(submitted) < _BATCHES:
            submitted.append(_submit(database, *[Spread(depth=2, seconds=0.05) for _ in range(10)]))
            _publish_twice(servers, platform, database) if len(submitted) == _BATCHES else time.sleep(0.3)
    ends = [end_job_id for _, end_job_id in submitted]
    jobs.until_all(database, ends, "succeeded", seconds=120)

    assert killer.kills.total() >= _KILLS
    assert [dict(_status(database, batch_id).counts) for batch_id, _ in submitted] == [{"succeeded": 70}] * len(ends)
    assert [jobs.job(database, job_id)["result"] for job_id in ends] == [{"counts": {"succeeded": 70}}] * len(ends)
    effects = _all_effects(database)
    assert set(effects.values()) == {1}
    assert len(effects) == 71 * len(ends)
