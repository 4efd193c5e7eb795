"""Breakers on real processes: an outage pauses a kind, and no other error does; good and urgent jobs do not wait."""

from pathlib import Path
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store import control
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.kinds import LimitedReach, Neighbour, Reach
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.fixture
def running(platform: AllSettings, processes: Processes) -> AllSettings:
    processes.relay(wait_ready=False)
    processes.worker()
    return platform


@pytest.mark.parametrize("fault", ["bug", "permanent", "declined"])
def test_forty_jobs_that_fail_alike_by_their_own_fault_pause_nothing_and_take_their_course(
    fault: str, running: AllSettings, database: Database
) -> None:
    bad = jobs.enqueue(database, *[Reach.model_validate({"fault": fault}) for _ in range(40)])
    good = jobs.enqueue(database, *[Reach(is_urgent=True) for _ in range(44)])

    jobs.until_all(database, good, "succeeded")
    jobs.until_all(database, bad, "failed")

    assert _pauses(database) == 0
    outcomes = [[one["outcome"] for one in jobs.attempts(database, job_id)] for job_id in bad]
    assert outcomes == [["retried", "retried", "failed"] if fault == "bug" else ["failed"]] * 40


@pytest.mark.parametrize("fault", ["outage", "named_outage"])
@pytest.mark.parametrize("contract", [Reach, LimitedReach])
def test_forty_four_good_urgent_jobs_run_at_the_first_probe_after_forty_that_met_an_outage(
    contract: type[Reach], fault: str, running: AllSettings, database: Database, hold: Path
) -> None:
    bad = jobs.enqueue(database, *[contract.model_validate({"fault": fault, "down": str(hold)}) for _ in range(40)])
    eventually(lambda: _paused_by(database) == "breaker", what="the kind has paused itself")
    good = jobs.enqueue(database, *[contract(is_urgent=True) for _ in range(44)])

    _probe_now(database)

    jobs.until_all(database, good, "succeeded")
    assert _probes_before(database, good, bad) == 1
    hold.unlink()
    eventually(lambda: _resumed(database, bad), what="the others run when the outage is over")


def test_a_probe_that_fails_by_its_own_fault_lets_the_next_probe_at_once(
    running: AllSettings, database: Database, hold: Path
) -> None:
    jobs.enqueue(database, *[Reach(fault="outage", down=str(hold)) for _ in range(10)])
    eventually(lambda: _paused_by(database) == "breaker", what="the kind has paused itself")
    faulty = jobs.enqueue(database, Reach(fault="bug", is_urgent=True), Reach(fault="declined", is_urgent=True))
    (good,) = jobs.enqueue(database, Reach(is_urgent=True))

    _probe_now(database)

    jobs.until_all(database, [good], "succeeded")
    hold.unlink()
    eventually(lambda: _resumed(database, faulty), what="the faulty ones use up their attempts")
    jobs.until_all(database, faulty, "failed")
    assert [len(jobs.attempts(database, job_id)) for job_id in faulty] == [3, 1], "each took its course"


def test_a_paused_kind_leaves_the_places_of_its_limit_to_its_neighbours(
    running: AllSettings, database: Database, hold: Path
) -> None:
    jobs.enqueue(database, *[LimitedReach(fault="outage", down=str(hold)) for _ in range(20)])
    eventually(lambda: _paused_by(database) == "breaker", what="the kind has paused itself")

    neighbours = jobs.enqueue(database, *[Neighbour() for _ in range(10)])

    jobs.until_all(database, neighbours, "succeeded")
    assert _paused_by(database) == "breaker", "they did not wait for the end of the pause"


def test_an_operators_pause_leaves_the_places_of_its_limit_to_its_neighbours(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    waiting = jobs.enqueue(database, *[LimitedReach() for _ in range(5)])
    relay = processes.relay(wait_ready=False)
    eventually(lambda: _admitted(database, waiting) == 2, what="two hold the places of the limit")
    with database.transaction() as session:
        control.pause(session, "limited_reach", by="ada", reason="the provider moves")
    processes.worker()

    neighbours = jobs.enqueue(database, *[Neighbour() for _ in range(10)])

    jobs.until_all(database, neighbours, "succeeded")
    assert relay.is_running()
    with database.transaction() as session:
        control.resume(session, "limited_reach")
    jobs.until_all(database, waiting, "succeeded")


def _paused_by(database: Database) -> str | None:
    with database.transaction() as session:
        paused = control.paused(session)
    return paused[0]["paused_by"] if paused else None


def _pauses(database: Database) -> int:
    """Count the kinds that are paused or have been."""
    with database.transaction() as session:
        return len(session.fetch_all("select kind from job_kinds"))


def _probe_now(database: Database) -> None:
    with database.transaction() as session:
        session.execute("update job_kinds set probe_at = clock_timestamp()")


def _admitted(database: Database, ids: list[UUID]) -> int:
    with database.transaction() as session:
        rows = session.fetch_all("select id from jobs where id = any(%(ids)s) and waits_for is null", {"ids": ids})
    return len(rows)


def _probes_before(database: Database, good: list[UUID], bad: list[UUID]) -> int:
    """Count the attempts from the moment at which the good jobs were enqueued to the end of the first of them."""
    with database.transaction() as session:
        rows = session.fetch_all(
            "select job_id from job_attempts where started_at > (select max(enqueued_at) from jobs "
            "where id = any(%(good)s)) and started_at <= (select min(started_at) from job_attempts "
            "where job_id = any(%(good)s)) and job_id = any(%(all)s)",
            {"good": good, "all": [*good, *bad]},
        )
    return len(rows)


def _resumed(database: Database, ids: list[UUID]) -> bool:
    """Return whether all have ended; a breaker that has tripped again probes at once."""
    _probe_now(database)
    states = jobs.states(database, ids)
    return states["succeeded"] + states["failed"] == len(ids)
