"""How far a worker reads ahead: by how long its jobs take, and never while they keep others waiting."""

from dataclasses import dataclass

import pytest

from workers.intake.prefetch import PrefetchPolicy


@dataclass
class Threads:
    usual_seconds: float | None = None
    jobs: int = 0
    without_message: int = 0
    closed: bool = False

    def running(self) -> int:
        return self.jobs

    busy = running

    def busy_without_message(self) -> int:
        return self.without_message

    def is_closed(self) -> bool:
        return self.closed


@dataclass
class Lying:
    seconds: float = 0
    count: int = 0
    urgent: int = 0

    def oldest_seconds(self) -> float:
        return self.seconds

    def unstarted(self) -> int:
        return self.count

    def without_message(self) -> int:
        return self.urgent


def _pace(threads: Threads, lying: Lying, *, has_credit: bool = True) -> PrefetchPolicy:
    return PrefetchPolicy(threads, lying, threads=4, has_credit=lambda: has_credit)


@pytest.mark.parametrize(
    ("usual_seconds", "window"), [(None, 4), (10, 4), (0.1, 6), (0.01, 24), (0.001, 204), (0.0, 512)]
)
def test_the_window_holds_a_twentieth_of_a_second_of_work_for_each_thread(
    usual_seconds: float | None, window: int
) -> None:
    assert _pace(Threads(usual_seconds), Lying()).wanted() == window


def test_what_lies_here_while_all_threads_are_busy_goes_back_and_nothing_comes_until_one_is_free() -> None:
    threads, lying = Threads(usual_seconds=0.01, jobs=4), Lying(0.6)
    pace = _pace(threads, lying)

    assert pace.wanted() == 0
    lying.seconds = 0  # It has gone back.
    assert pace.wanted() == 0
    threads.jobs = 3
    assert pace.wanted() > 0


def test_what_lies_here_while_a_thread_is_free_stays() -> None:
    assert _pace(Threads(usual_seconds=0.01, jobs=3), Lying(60)).wanted() == 24


@pytest.mark.parametrize(("usual_seconds", "gathered"), [(None, False), (0.0001, True), (0.01, True), (0.03, False)])
def test_verdicts_on_quick_jobs_are_sent_together_and_those_on_others_at_once(
    usual_seconds: float | None, gathered: bool
) -> None:
    assert bool(_pace(Threads(usual_seconds), Lying()).gather_seconds()) is gathered


def test_a_thread_is_free_when_neither_a_job_nor_a_delivery_that_waits_is_for_it() -> None:
    assert _pace(Threads(jobs=1), Lying(count=2)).free_threads() == 1


@pytest.mark.parametrize(
    ("usual_seconds", "here", "more"),
    [(None, 0, 0), (10, 0, 0), (0.06, 0, 3), (0.01, 0, 4), (0.01, 2, 2), (0.01, 3, 0), (0.0, 4, 0)],
)
def test_busy_threads_take_urgent_jobs_ahead_while_jobs_are_quick_one_each_at_most_and_not_one_by_one(
    usual_seconds: float | None, here: int, more: int
) -> None:
    assert _pace(Threads(usual_seconds, jobs=4), Lying(count=here, urgent=here)).urgent_ahead() == more


def test_no_thread_is_free_for_a_job_without_a_message_while_rabbitmq_has_some() -> None:
    assert _pace(Threads(jobs=1), Lying(), has_credit=False).free_threads() == 0


def test_while_a_job_runs_alone_or_what_waited_goes_back_nothing_is_taken_without_a_message() -> None:
    alone = _pace(Threads(0.01, jobs=1, closed=True), Lying())
    full = _pace(Threads(0.01, jobs=4), Lying(0.6))
    full.wanted()

    for pace in (alone, full):
        assert (pace.free_threads(), pace.urgent_ahead()) == (0, 0)


def test_what_comes_without_a_message_and_lies_long_while_all_threads_are_busy_is_hoarded_too() -> None:
    threads, lying = Threads(10, jobs=4, without_message=4), Lying(0.6)
    pace = _pace(threads, lying)

    assert (pace.wanted(), pace.hoards()) == (0, True)
    lying.seconds = 0.1
    assert (pace.wanted(), pace.hoards()) == (0, False)


@pytest.mark.parametrize(("usual_seconds", "window"), [(10, 1), (0.1, 3), (0.01, 24)])
def test_no_message_is_asked_for_where_a_slow_job_without_one_has_the_thread(usual_seconds: float, window: int) -> None:
    assert _pace(Threads(usual_seconds, jobs=2, without_message=2), Lying(urgent=1)).wanted() == window
