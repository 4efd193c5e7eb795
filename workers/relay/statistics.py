"""Statistics: the leader counts jobs, limits, queues and outbox, and warns of starved jobs and dead letters."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import Gauge
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE
from moneyflow.platform.events import publication as events
from moneyflow.platform.events.reporter import Warn
from moneyflow.platform.events.warnings import Details
from moneyflow.platform.jobs.contract import limits, registry
from moneyflow.platform.jobs.store import admission, control, status
from workers.relay import metrics
from workers.relay.queue_depth import QueueDepths

_POLL_SECONDS = 5.0
#: Seconds for which a job is due without a start before its priority counts as starved.
_STARVED_SECONDS = 300.0
#: Messages on `jobs_failed` above which an operator has to look. The queue has no limit: what it dropped, no tool
#: could replay. No job depends on its length: the row in Postgres is the record of a failed job.
_MANY_DEAD_LETTERS = 1000
_STATES = ("scheduled", "queued", "running", "retrying", "failed")


#: Values of a gauge by its labels.
Values = dict[tuple[str, ...], float]


class Series:
    """The series of one gauge as counted last: one that is no longer counted is 0, or removed with `forget`."""

    def __init__(self, gauge: Gauge, *, forget: bool = False) -> None:
        self._gauge = gauge
        self._forget = forget
        self._known: set[tuple[str, ...]] = set()

    def show(self, values: Values) -> None:
        """Export the values by their labels."""
        for labels, value in values.items():
            self._gauge.labels(*labels).set(value)
        for labels in self._known - values.keys():
            if self._forget:
                self._gauge.remove(*labels)
            else:
                self._gauge.labels(*labels).set(0)
        self._known = set(values) if self._forget else self._known | values.keys()

    def clear(self) -> None:
        """Export nothing any more."""
        self._gauge.clear()
        self._known = set()


class Statistics:
    """Counts on the leader alone: what a standby exported would be stale."""

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        depths: QueueDepths,
        warn: Warn,
        *,
        poll_seconds: float = _POLL_SECONDS,
        starved_seconds: float = _STARVED_SECONDS,
        many_dead_letters: int = _MANY_DEAD_LETTERS,
    ) -> None:
        self._connection = connection
        self._depths = depths
        self._warn = warn
        self._poll_seconds = poll_seconds
        self._starved_seconds = starved_seconds
        self._many_dead_letters = many_dead_letters
        self._states = Series(metrics.jobs_in_state)
        self._oldest = Series(metrics.job_oldest_due_seconds)
        self._paused = Series(metrics.kind_paused, forget=True)
        self._paused_seconds = Series(metrics.kind_paused_seconds, forget=True)
        self._places = Series(metrics.limit_places, forget=True)
        self._parked = Series(metrics.jobs_parked, forget=True)

    async def run_once(self) -> float:
        """Count once; return the seconds to wait before the next count."""
        await self._count_jobs()
        await self._count_pauses()
        places = await admission.places(self._connection, list(limits().values()))
        self._places.show(
            {(row["name"], state): row[state] for row in places for state in ("used", "free") if row[state] is not None}
        )
        await self._count_outbox()
        failed = await self._depths.ready(FAILED_QUEUE)
        if failed is not None:
            metrics.jobs_failed_messages.set(failed)
            self._warn_of_dead_letters(failed)
        return self._poll_seconds

    def clear(self) -> None:
        """Export nothing any more: the next leader counts."""
        for series in (self._states, self._oldest, self._paused, self._paused_seconds, self._places, self._parked):
            series.clear()
        for gauge in (metrics.outbox_unpublished, metrics.outbox_oldest_seconds):
            gauge.clear()

    def _warn_of_dead_letters(self, messages: int) -> None:
        if messages > self._many_dead_letters:
            message = (
                f"{messages} messages are on {FAILED_QUEUE}. See what failed by `moneyflow failed groups`, and what "
                "was refused before a job was known by the same with --refused; then replay or discard it."
            )
            details = {"messages": messages}
            self._warn(code="dead_letters_accumulated", message=message, subject=FAILED_QUEUE, details=details)

    async def _count_outbox(self) -> None:
        ages = {row["kind"]: (row["rows"], row["seconds"]) for row in await status.outbox_ages(self._connection)}
        ages["event"] = await events.age(self._connection)
        for kind, (rows, seconds) in ages.items():
            metrics.outbox_unpublished.labels(kind).set(rows)
            metrics.outbox_oldest_seconds.labels(kind).set(seconds)
            if seconds > self._starved_seconds:
                message = (
                    f"The oldest of {rows} rows of kind {kind} has waited {seconds:.0f} seconds to be published. "
                    f"Look at {'Kafka' if kind == 'event' else 'RabbitMQ'} and at the relay's log: `moneyflow status`."
                )
                details: Details = {"kind": kind, "rows": rows, "seconds": round(seconds)}
                self._warn(code="outbox_lagging", message=message, subject=kind, details=details)

    async def _count_jobs(self) -> None:
        """Export the states and the oldest due job of every kind; a declared kind without jobs has zeros."""
        counted: Values = {
            (row["kind"], row["state"]): row["jobs"] for row in await status.counts_by_state(self._connection)
        }
        self._states.show({(kind, state): 0 for kind in registry for state in _STATES} | counted)
        parked = await status.parked_by_kind(self._connection)
        self._parked.show({(kind,): jobs for kind, jobs in parked.items()})
        oldest = await status.oldest_due(self._connection)
        ages: Values = {(row["kind"], str(row["priority"])): row["seconds"] for row in oldest}
        self._oldest.show({(kind, str(contract.priority)): 0.0 for kind, contract in registry.items()} | ages)
        self._warn_of_starvation(oldest)

    async def _count_pauses(self) -> None:
        paused = await control.paused_seconds(self._connection)
        self._paused.show({(row["kind"], row["paused_by"]): 1 for row in paused})
        self._paused_seconds.show({(row["kind"],): row["seconds"] for row in paused})

    def _warn_of_starvation(self, oldest: Sequence[DictRow]) -> None:
        """Warn of each priority of which nothing starts, and of each paused kind whose jobs wait."""
        starved = [row for row in oldest if row["seconds"] > self._starved_seconds]
        for priority, seconds in _longest("priority", [row for row in starved if not row["is_paused"]]).items():
            message = (
                f"Jobs of priority {priority} have been due for {seconds:.0f} seconds and do not start. "
                "Start more workers, or look at what the higher priorities are busy with."
            )
            details: Details = {"priority": priority, "seconds": round(seconds)}
            self._warn(code="jobs_starved", message=message, subject=str(priority), details=details)
        for kind, seconds in _longest("kind", [row for row in starved if row["is_paused"]]).items():
            message = (
                f"Jobs of {kind} have been due for {seconds:.0f} seconds: the kind is paused. `moneyflow queue status` "
                f"shows by whom and why, `moneyflow queue resume {kind}` ends the pause."
            )
            details = {"job": kind, "seconds": round(seconds)}
            self._warn(code="jobs_starved", message=message, subject=kind, details=details)


def _longest(column: str, rows: Sequence[DictRow]) -> dict[Any, float]:
    """Return the longest wait, in seconds, for each value of the column."""
    longest: dict[Any, float] = {}
    for row in rows:
        longest[row[column]] = max(longest.get(row[column], 0.0), row["seconds"])
    return longest
