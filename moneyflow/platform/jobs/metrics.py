"""Metrics of jobs: enqueued, started, ended, ticked by a schedule."""

from functools import cache

from prometheus_client import Counter, Histogram

#: Seconds; from the fast path of an idle worker to a backlog of half an hour.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

jobs_enqueued = Counter("moneyflow_jobs_enqueued_total", "Jobs enqueued and committed", ["job"])
jobs_finished = Counter("moneyflow_jobs_finished_total", "Ends of attempts", ["job", "outcome"])
job_wait_seconds = Histogram(
    "moneyflow_job_wait_seconds", "Seconds from due to start", ["job", "priority"], buckets=_BUCKETS
)
job_run_seconds = Histogram("moneyflow_job_run_seconds", "Seconds from start to end", ["job"], buckets=_BUCKETS)
schedule_ticks = Counter("moneyflow_schedule_ticks_total", "Ticks of schedules by outcome", ["schedule", "outcome"])


@cache
def of_job(kind: str, priority: int) -> tuple[Histogram, Histogram]:
    """Return the wait and the run of a kind. PERF: looking up a labelled metric takes longer than observing with it."""
    return job_wait_seconds.labels(kind, str(priority)), job_run_seconds.labels(kind)


@cache
def finished(kind: str, outcome: str) -> Counter:
    """Return the counter of a kind's attempts that ended with this outcome; cached like `of_job`."""
    return jobs_finished.labels(kind, outcome)
