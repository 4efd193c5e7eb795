"""Money Flow: the benchmark's kinds of jobs, and the client that enqueues them in transactions."""

import time
from collections.abc import Collection, Sequence
from uuid import UUID

from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.telemetry.start import begin
from moneyflow.settings import ApiSettings

_ONCE = RetryPolicy(attempts=1)
_URGENT = 9


class BenchNoop(Job, kind="bench_noop", retry=_ONCE):
    """Do nothing."""

    tag: int


class BenchInsert(Job, kind="bench_insert", retry=_ONCE):
    """Insert one row."""

    tag: int


class BenchSleep(Job, kind="bench_sleep", priority=0, retry=_ONCE):
    """Sleep ten milliseconds."""

    tag: int
    urgent: bool = False

    def message_priority(self) -> int:
        """Return 9 for an urgent job."""
        return _URGENT if self.urgent else self.priority


def _job(kind: str, tag: int, *, urgent: bool) -> Job:
    if kind == "sleep":
        return BenchSleep(tag=tag, urgent=urgent)
    return BenchNoop(tag=tag) if kind == "noop" else BenchInsert(tag=tag)


class Client:
    """Enqueues as an API does."""

    def __init__(self) -> None:
        settings = begin("bench-client", ApiSettings)
        self._committed_at = 0.0
        self._wake = Notifier(settings)
        self._database = Database(
            settings.conninfo("app", application_name="bench client"), size=1, notify=self._committed
        )
        self._database.open()

    def enqueue(self, kind: str, tags: Sequence[int], *, urgent: bool) -> float:
        """Enqueue the jobs in one transaction; return when its commit returned."""
        with self._database.transaction() as session:
            enqueue_many(session, [_job(kind, tag, urgent=urgent) for tag in tags])
        return self._committed_at

    def _committed(self, work: Collection[str], ready: Sequence[tuple[int, UUID]]) -> None:
        """Record the time before the relay is woken: the wake-up is a part of a job's wait."""
        self._committed_at = time.time()
        self._wake(work, ready)
