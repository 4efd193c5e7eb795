"""Prefetch policy: by how long the jobs take, and none while they keep others waiting."""

from dataclasses import dataclass

import pytest

from workers.intake.prefetch import PrefetchPolicy


@dataclass
class Threads:
    usual_seconds: float | None = None
    jobs: int = 0
    ready_jobs: int = 0
    closed: bool = False

    def running(self) -> int:
        return self.jobs

    def is_closed(self) -> bool:
        return self.closed


@dataclass
class Waiting:
    seconds: float = 0
    count: int = 0
    ready_jobs: int = 0


@dataclass
class Buffer:
    threads: Threads
    waiting: Waiting

    def oldest_seconds(self) -> float:
        return self.waiting.seconds

    def unstarted(self) -> int:
        return self.waiting.count

    def busy(self) -> int:
        return self.threads.jobs

    def best_effort(self) -> tuple[int, int]:
        return self.waiting.ready_jobs, self.threads.ready_jobs


def _policy(threads: Threads, waiting: Waiting, *, has_credit: bool = True) -> PrefetchPolicy:
    return PrefetchPolicy(threads, Buffer(threads, waiting), threads=4, has_credit=lambda: has_credit)


@pytest.mark.parametrize(
    ("usual_seconds", "prefetch"), [(None, 4), (10, 4), (0.1, 6), (0.01, 24), (0.001, 204), (0.0, 512)]
)
def test_the_prefetch_is_a_twentieth_of_a_second_of_work_for_each_thread(
    usual_seconds: float | None, prefetch: int
) -> None:
    assert _policy(Threads(usual_seconds), Waiting()).prefetch() == prefetch


def test_what_waits_here_while_all_threads_are_busy_is_requeued_and_nothing_comes_until_one_is_free() -> None:
    threads, waiting = Threads(usual_seconds=0.01, jobs=4), Waiting(0.6)
    policy = _policy(threads, waiting)

    assert policy.prefetch() == 0
    waiting.seconds = 0  # It was requeued.
    assert policy.prefetch() == 0
    threads.jobs = 3
    assert policy.prefetch() > 0


def test_what_waits_here_while_a_thread_is_free_stays() -> None:
    assert _policy(Threads(usual_seconds=0.01, jobs=3), Waiting(60)).prefetch() == 24


@pytest.mark.parametrize(("usual_seconds", "gathered"), [(None, False), (0.0001, True), (0.01, True), (0.03, False)])
def test_acks_of_quick_jobs_are_sent_together_and_those_of_others_at_once(
    usual_seconds: float | None, gathered: bool
) -> None:
    assert bool(_policy(Threads(usual_seconds), Waiting()).gather_seconds()) is gathered


def test_a_thread_is_free_when_neither_a_job_nor_a_delivery_that_waits_is_for_it() -> None:
    assert _policy(Threads(jobs=1), Waiting(count=2)).free_threads() == 1


@pytest.mark.parametrize(
    ("usual_seconds", "here", "more"),
    [(None, 0, 0), (10, 0, 0), (0.06, 0, 3), (0.01, 0, 4), (0.01, 2, 2), (0.01, 3, 0), (0.0, 4, 0)],
)
def test_busy_threads_take_urgent_jobs_ahead_while_jobs_are_quick_one_each_at_most_and_not_one_by_one(
    usual_seconds: float | None, here: int, more: int
) -> None:
    assert _policy(Threads(usual_seconds, jobs=4), Waiting(count=here, ready_jobs=here)).urgent_ahead() == more


def test_no_thread_is_free_for_a_ready_job_while_rabbitmq_has_messages() -> None:
    assert _policy(Threads(jobs=1), Waiting(), has_credit=False).free_threads() == 0


def test_while_a_job_runs_alone_or_what_waited_is_requeued_no_ready_job_is_taken() -> None:
    alone = _policy(Threads(0.01, jobs=1, closed=True), Waiting())
    full = _policy(Threads(0.01, jobs=4), Waiting(0.6))
    full.prefetch()

    for policy in (alone, full):
        assert (policy.free_threads(), policy.urgent_ahead()) == (0, 0)


def test_a_ready_job_is_held_too_long_when_it_waits_while_all_threads_are_busy() -> None:
    threads, waiting = Threads(10, jobs=4, ready_jobs=4), Waiting(0.6)
    policy = _policy(threads, waiting)

    assert (policy.prefetch(), policy.holds_too_long()) == (0, True)
    waiting.seconds = 0.1
    assert (policy.prefetch(), policy.holds_too_long()) == (0, False)


@pytest.mark.parametrize(("usual_seconds", "prefetch"), [(10, 1), (0.1, 3), (0.01, 24)])
def test_no_message_is_prefetched_for_a_thread_that_runs_a_slow_ready_job(usual_seconds: float, prefetch: int) -> None:
    assert _policy(Threads(usual_seconds, jobs=2, ready_jobs=2), Waiting(ready_jobs=1)).prefetch() == prefetch
