"""Whether a consumer moves, as liveness and readiness tell it."""

import pytest
from aiokafka import TopicPartition

from consumers import progress as module
from consumers.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def progress(clock: list[float]) -> Progress:
    """Return the progress of a consumer that has joined and is at the end of everything."""
    progress = Progress("audit")
    progress.lags({})
    return progress


def _goes_round(progress: Progress, clock: list[float], seconds: float) -> None:
    clock[0] += seconds
    progress.turned()


def test_a_consumer_at_the_end_of_everything_is_alive_and_ready(progress: Progress, clock: list[float]) -> None:
    _goes_round(progress, clock, 1000)

    assert progress.is_alive() is None
    assert progress.is_ready() is None


def test_a_loop_that_hangs_is_not_alive(progress: Progress, clock: list[float]) -> None:
    clock[0] += 121

    assert progress.is_alive() == "the loop has not turned for 121 seconds"


def test_lag_without_a_written_batch_is_no_life(progress: Progress, clock: list[float]) -> None:
    progress.lags({("user.events", 0): 7})
    _goes_round(progress, clock, 121)

    assert progress.is_alive() == "7 records behind and nothing written for 121 seconds"


def test_standing_still_while_a_server_is_away_is_no_reason_to_be_killed(
    progress: Progress, clock: list[float]
) -> None:
    progress.lags({("user.events", 0): 7})
    progress.waiting_for("Postgres is away")
    _goes_round(progress, clock, 1000)

    assert progress.is_alive() is None
    assert progress.is_ready() == "Postgres is away"


def test_turns_that_all_meet_a_bug_are_not_ready_at_once_and_not_alive_after_a_while(
    progress: Progress, clock: list[float]
) -> None:
    progress.failing("KeyError('x')")
    ready = progress.is_ready()
    _goes_round(progress, clock, 121)
    progress.failing("KeyError('x')")

    assert ready == "KeyError('x')"
    assert progress.is_alive() == "every turn fails: KeyError('x')"


def test_a_gap_is_told_by_readiness_until_it_is_closed(progress: Progress) -> None:
    partition = TopicPartition("user.events", 0)
    progress.gap(partition, "user.events 0: 5 is not in 9..12")
    told = progress.is_ready()
    progress.no_gap(partition)

    assert told == "user.events 0: 5 is not in 9..12"
    assert progress.is_ready() is None
