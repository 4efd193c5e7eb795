"""Progress of a consumer: when it counts as alive and as ready."""

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from consumers.progress import Progress


@pytest.fixture
def clock() -> list[float]:
    """Return the monotonic time, to be set."""
    return [1000.0]


@pytest.fixture
def progress(clock: list[float]) -> Progress:
    """Return the progress of a consumer that has joined and has no lag."""
    progress = Progress("audit", clock=lambda: clock[0])
    progress.lags({})
    return progress


def _iterate(progress: Progress, clock: list[float], seconds: float) -> None:
    clock[0] += seconds
    progress.iterated()


def test_a_consumer_without_lag_is_alive_and_ready(progress: Progress, clock: list[float]) -> None:
    _iterate(progress, clock, 1000)

    assert progress.is_alive() is None
    assert progress.is_ready() is None


def test_a_loop_that_hangs_is_not_alive(progress: Progress, clock: list[float]) -> None:
    clock[0] += 121

    assert progress.is_alive() == "the loop has not run for 121 seconds"


def test_lag_without_a_written_batch_is_not_alive(progress: Progress, clock: list[float]) -> None:
    progress.lags({("user.events", 0): 7})
    _iterate(progress, clock, 121)

    assert progress.is_alive() == "lag of 7 records, and none written for 121 seconds"


def test_waiting_for_a_server_that_is_down_is_alive_and_not_ready(progress: Progress, clock: list[float]) -> None:
    progress.lags({("user.events", 0): 7})
    progress.waiting_for("Postgres is down")
    _iterate(progress, clock, 1000)

    assert progress.is_alive() is None
    assert progress.is_ready() == "Postgres is down"


def test_iterations_that_all_fail_by_a_bug_are_not_ready_at_once_and_not_alive_after_two_minutes(
    progress: Progress, clock: list[float]
) -> None:
    progress.failing("KeyError('x')")
    ready = progress.is_ready()
    _iterate(progress, clock, 121)
    progress.failing("KeyError('x')")

    assert ready == "KeyError('x')"
    assert progress.is_alive() == "every iteration fails: KeyError('x')"


def test_a_gap_is_not_ready_until_it_is_cleared(progress: Progress) -> None:
    partition = TopicPartition("user.events", 0)
    progress.gap(partition, "user.events 0: 5 is not in 9..12")
    shown = progress.is_ready()
    progress.no_gap(partition)

    assert shown == "user.events 0: 5 is not in 9..12"
    assert progress.is_ready() is None


def test_the_lag_in_seconds_is_0_when_the_sink_has_everything_and_else_the_age_of_what_it_surely_has() -> None:
    wall = [5000.0]
    progress = Progress("audit", wall_clock=lambda: wall[0])
    seconds = []

    def look(after: float) -> None:
        wall[0] += after
        seconds.append(progress.lag_seconds())

    look(3)
    progress.lags({("user.events", 0): 0, ("user.events", 1): 0})
    look(100)
    progress.lags({("user.events", 0): 9, ("user.events", 1): 0})
    look(7)
    progress.written_up_to("user.events", 0, wall[0] - 2)
    look(0)
    progress.waiting_for("Postgres is down")
    look(60)
    progress.lags({("user.events", 0): 0, ("user.events", 1): 0})
    look(5)
    progress.gap(TopicPartition("user.events", 1), "5 is not in 9..12")
    look(4)

    assert seconds == [3, 0, 107, 7, 67, 0, 9]


def test_the_lag_in_seconds_is_exported_as_it_is_at_the_moment() -> None:
    wall = [5000.0]
    progress = Progress("of_this_test", wall_clock=lambda: wall[0])
    progress.waiting_for("Kafka is down")
    wall[0] += 42

    assert REGISTRY.get_sample_value("moneyflow_consumer_lag_seconds", {"sink": "of_this_test"}) == 42


def test_a_parked_partition_is_alive_not_ready_and_shows_its_lag(progress: Progress, clock: list[float]) -> None:
    progress.parked(["user.events 0: deploy version 2"])
    progress.lags({("user.events", 1): 0}, parked={("user.events", 0): 7})
    _iterate(progress, clock, 1000)

    assert progress.is_alive() is None
    assert progress.is_ready() == "user.events 0: deploy version 2"
    lag = REGISTRY.get_sample_value(
        "moneyflow_consumer_lag", {"sink": "audit", "topic": "user.events", "partition": "0"}
    )
    assert lag == 7

    progress.parked([])
    progress.lags({("user.events", 0): 0})

    assert progress.is_ready() is None


def test_the_lag_of_a_partition_that_moved_to_another_consumer_is_not_exported_any_more(progress: Progress) -> None:
    mine, moved = ("user.events", 1), ("user.events", 2)
    progress.lags({mine: 4, moved: 7})
    progress.lags({mine: 3})

    def shown(partition: str) -> float | None:
        labels = {"sink": "audit", "topic": "user.events", "partition": partition}
        return REGISTRY.get_sample_value("moneyflow_consumer_lag", labels)

    assert (shown("1"), shown("2")) == (3, None)


def test_a_sink_that_is_behind_for_more_than_five_minutes_warns_and_one_that_caught_up_does_not() -> None:
    now = [1_000_000.0]
    progress = Progress("audit", wall_clock=lambda: now[0])
    progress.waiting_for("Kafka")
    now[0] += 299
    soon = progress.lagging()
    now[0] += 2

    late = progress.lagging()
    progress.lags({})

    assert soon is None
    assert late is not None
    assert (late.fingerprint, late.data["details"]["seconds"]) == ("consumer_lagging:audit", 301)
    assert progress.lagging() is None
