"""Jobs that misbehave do not hurt their neighbours: these wait as long as next to jobs that only take as long."""

import random
from statistics import median
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.neighbours import MISBEHAVIOURS, BadNeighbour, GoodNeighbour
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: The 99th percentile of the neighbours' waits, compared with that next to jobs that sleep as long.
_RATIO = 1.5

_WAITS = """
select percentile_cont(0.99) within group (order by extract(epoch from a.started_at - j.enqueued_at)) as p99,
       count(*) as jobs
from jobs j join job_attempts a on a.job_id = j.id
where j.id = any(%(ids)s) and j.kind = 'good_neighbour'
"""


def _mixed(count: int, seed: int, *, misbehaves: bool) -> tuple[list[Job], dict[int, str]]:
    """Return the jobs, every tenth of which misbehaves in a way drawn from the seed, and those ways by position."""
    drawn = random.Random(seed)
    ways: list[str] = []
    while len(ways) < count // 10:  # Each way comes before one comes again.
        ways += drawn.sample(list(MISBEHAVIOURS), len(MISBEHAVIOURS))
    how = {position: ways[position // 10] for position in range(0, count, 10)}
    mixed: list[Job] = [
        BadNeighbour(how=how[position] if misbehaves else "sleep") if position in how else GoodNeighbour()
        for position in range(count)
    ]
    return mixed, how


def _ran(database: Database, mixed: list[Job]) -> list[UUID]:
    """Enqueue the jobs at once, and return their ids once every one has had its attempt."""
    with database.transaction() as session:
        ids = enqueue_many(session, mixed)
    eventually(lambda: _without_an_attempt(database, ids) == 0, seconds=240, what="each job had its attempt")
    return ids


def _without_an_attempt(database: Database, ids: list[UUID]) -> int:
    with database.transaction() as session:
        row = session.fetch_one(
            "select count(*) as remaining from jobs where id = any(%(ids)s) "
            "and not exists (select 1 from job_attempts where job_id = jobs.id)",
            {"ids": ids},
        )
    assert row is not None
    return int(row["remaining"])


def _p99(database: Database, ids: list[UUID]) -> float:
    """Return the 99th percentile of the seconds that the good neighbours waited from their enqueue to their start."""
    with database.transaction() as session:
        row = session.fetch_one(_WAITS, {"ids": ids})
    assert row is not None
    assert row["jobs"] == len(ids) - len(ids) // 10
    return float(row["p99"])


def test_jobs_that_misbehave_end_as_they_should_and_their_neighbours_wait_no_longer(
    platform: AllSettings, database: Database, processes: Processes, pytestconfig: pytest.Config
) -> None:
    count = int(pytestconfig.getoption("--neighbours"))
    processes.relay(wait_ready=False)
    worker = processes.worker(WORKER_THREADS="4")
    _ran(database, _mixed(40, 0, misbehaves=False)[0])  # The first jobs of a process take longer.
    ratios = []

    for seed in range(3):
        controls, _ = _mixed(count, seed, misbehaves=False)
        control = _p99(database, _ran(database, controls))
        mixed, ways = _mixed(count, seed, misbehaves=True)
        ids = _ran(database, mixed)
        ratios.append(_p99(database, ids) / control)
        _check_ends(database, ids, ways)

    assert worker.is_running()
    assert median(ratios) <= _RATIO, f"the p99 wait, compared with that of a control run: {ratios}"


def _check_ends(database: Database, ids: list[UUID], ways: dict[int, str]) -> None:
    with database.transaction() as session:
        found = session.fetch_all(
            "select id, state, error_class, error_message from jobs where id = any(%(ids)s)", {"ids": ids}
        )
    rows = {row["id"]: row for row in found}
    ended = {position: (rows[job_id]["state"], rows[job_id]["error_class"]) for position, job_id in enumerate(ids)}
    expected = {position: (MISBEHAVIOURS[how].state, MISBEHAVIOURS[how].error_class) for position, how in ways.items()}
    snoozing = {position for position, how in ways.items() if how == "snooze for no time"}
    for position, ending in ended.items():
        if position not in snoozing:  # Those come again each second, until the end of the test.
            wanted = expected.get(position, ("succeeded", None))
            assert ending == wanted, (ways.get(position, "a neighbour"), rows[ids[position]]["error_message"])
    for position in snoozing:
        outcomes = {attempt["outcome"] for attempt in jobs.attempts(database, ids[position])}
        assert outcomes == {"snoozed"}
