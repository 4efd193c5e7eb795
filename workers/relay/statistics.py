"""Statistics: the leader exports counts of jobs, queues and outbox rows; it warns of starved jobs and dead letters."""

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE
from moneyflow.platform.events import publication as events
from moneyflow.platform.jobs.contract import PRIORITIES
from moneyflow.platform.jobs.store import status
from workers.relay import metrics
from workers.relay.queue_depth import QueueDepths
from workers.relay.warnings import Warnings

_POLL_SECONDS = 5.0
#: Seconds for which a job is due without a start before its priority counts as starved.
_STARVED_SECONDS = 300.0
#: Messages on `jobs_failed` above which an operator has to look. The queue has no limit: what it dropped, no tool
#: could replay. No job depends on its length: the row in Postgres is the record of a failed job.
_MANY_DEAD_LETTERS = 1000
_STATES = ("scheduled", "queued", "running", "retrying")


class Statistics:
    """Counts on the leader alone: what a standby exported would be stale."""

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        depths: QueueDepths,
        warnings: Warnings,
        *,
        poll_seconds: float = _POLL_SECONDS,
        starved_seconds: float = _STARVED_SECONDS,
        many_dead_letters: int = _MANY_DEAD_LETTERS,
    ) -> None:
        self._connection = connection
        self._depths = depths
        self._warnings = warnings
        self._poll_seconds = poll_seconds
        self._starved_seconds = starved_seconds
        self._many_dead_letters = many_dead_letters

    async def run_once(self) -> float:
        """Count once; return the seconds to wait before the next count."""
        states = await status.counts_by_state(self._connection)
        for state in _STATES:
            metrics.jobs_in_state.labels(state).set(states.get(state, 0))
        oldest = await status.oldest_due(self._connection)
        for priority in PRIORITIES:
            metrics.job_oldest_due_seconds.labels(str(priority)).set(oldest.get(priority, 0))
        await self._warn_of_starvation(oldest)
        for row in await status.outbox_ages(self._connection):
            _set_outbox(row["kind"], row["rows"], row["seconds"])
        _set_outbox("event", *await events.age(self._connection))
        failed = await self._depths.ready(FAILED_QUEUE)
        if failed is not None:
            metrics.jobs_failed_messages.set(failed)
            await self._warn_of_dead_letters(failed)
        return self._poll_seconds

    def clear(self) -> None:
        """Export nothing any more: the next leader counts."""
        for gauge in (
            metrics.jobs_in_state,
            metrics.job_oldest_due_seconds,
            metrics.outbox_unpublished,
            metrics.outbox_oldest_seconds,
        ):
            gauge.clear()

    async def _warn_of_dead_letters(self, messages: int) -> None:
        if messages > self._many_dead_letters:
            message = (
                f"{messages} messages are on {FAILED_QUEUE}. See what failed by `moneyflow failed groups`, and what "
                "was refused before a job was known by the same with --refused; then replay or discard it."
            )
            details = {"messages": messages}
            await self._warnings.warn("dead_letters_accumulated", message, subject=FAILED_QUEUE, details=details)

    async def _warn_of_starvation(self, oldest: dict[int, float]) -> None:
        for priority, seconds in oldest.items():
            if seconds <= self._starved_seconds:
                continue
            message = (
                f"Jobs of priority {priority} have been due for {seconds:.0f} seconds and do not start. "
                "Start more workers, or look at what the higher priorities are busy with."
            )
            details = {"priority": priority, "seconds": round(seconds)}
            await self._warnings.warn("jobs_starved", message, subject=str(priority), details=details)


def _set_outbox(kind: str, rows: int, seconds: float) -> None:
    metrics.outbox_unpublished.labels(kind).set(rows)
    metrics.outbox_oldest_seconds.labels(kind).set(seconds)
