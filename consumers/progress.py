"""Progress of a consumer: its liveness, its readiness and its lag metrics."""

import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import TopicPartition

from consumers import metrics
from moneyflow.platform.events.reports import Report
from moneyflow.platform.events.warnings import Details, warning

#: Seconds; an iteration takes at most a poll and a write with their time-outs, which add up to less.
_STUCK_SECONDS = 120.0
#: Seconds of lag above which an operator has to look.
_LAGGING_SECONDS = 300.0


class Progress:
    """The last signs of life of the consumer's loop.

    The loop writes and the health port's threads read; each value is replaced as a whole, so nothing is locked.
    """

    def __init__(
        self, sink: str, *, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._wall_clock = wall_clock
        self._iterated_at = self._moved_at = clock()
        self._waiting: str | None = "Kafka: not joined yet"
        self._failing: str | None = None
        self._failing_since = 0.0
        self._gaps: dict[TopicPartition, str] = {}
        self._gap_since: dict[TopicPartition, float] = {}
        #: Up to when the sink surely has each partition's records, in seconds since 1970.
        self._has_up_to: dict[tuple[str, int], float] = {}
        self._started_at = wall_clock()
        self._lags: dict[tuple[str, int], int] = {}
        #: The partitions whose lag is exported.
        self._shown: set[tuple[str, int]] = set()
        self._parked: tuple[str, ...] = ()
        metrics.consumer_lag_seconds.labels(sink).set_function(self.lag_seconds)

    def iterated(self) -> None:
        """Note that the loop runs."""
        self._iterated_at = self._clock()

    def moved(self) -> None:
        """Note that a batch was written."""
        self._moved_at = self._clock()
        self._waiting = None
        metrics.consumer_last_progress.labels(self._sink).set_to_current_time()

    def waiting_for(self, server: str) -> None:
        """Note that a server is down: waiting is right then, and no reason to be killed."""
        self._waiting = server
        metrics.consumer_lag.clear()  # Unknown now; an old value would be believed.
        self._shown = set()

    def failing(self, error: str) -> None:
        """Note that an iteration met an unexpected error: a bug, or a schema of another version."""
        self._failing_since = self._failing_since if self._failing else self._clock()
        self._failing = error

    def gap(self, partition: TopicPartition, gap: str) -> None:
        """Note that Kafka has deleted records that the sink has not seen."""
        self._gaps = {**self._gaps, partition: gap}
        self._gap_since = {partition: self._wall_clock(), **self._gap_since}

    def no_gap(self, partition: TopicPartition) -> None:
        """Note that a partition has no gap."""
        self._gaps = {other: gap for other, gap in self._gaps.items() if other != partition}
        self._gap_since = {other: since for other, since in self._gap_since.items() if other != partition}

    def parked(self, reasons: Sequence[str]) -> None:
        """Note why partitions wait for a newer version, which reads their next records."""
        self._parked = tuple(reasons)

    def lags(self, lags: Mapping[tuple[str, int], int], *, parked: Mapping[tuple[str, int], int] | None = None) -> None:
        """Note the lag of each partition in records, after an iteration in which every server answered.

        A parked partition shows its lag; that nothing of it is written is right.
        """
        self._waiting = self._failing = None
        now, shown = self._wall_clock(), {**(parked or {}), **lags}
        self._has_up_to = {key: now if lag == 0 else self._has_up_to.get(key, now) for key, lag in shown.items()}
        self._lags = dict(lags)
        for topic, partition in self._shown - shown.keys():  # Another consumer's now, which shows it.
            metrics.consumer_lag.remove(self._sink, topic, str(partition))
        self._shown = set(shown)
        for (topic, partition), lag in shown.items():
            metrics.consumer_lag.labels(self._sink, topic, str(partition)).set(lag)
        if not self._lag and not self._gaps and not self._parked:
            self.moved()

    def written_up_to(self, topic: str, partition: int, written_at: float | None) -> None:
        """Note that a batch was written whose last record Kafka got at `written_at`, in seconds since 1970."""
        if written_at is not None:
            self._has_up_to = {**self._has_up_to, (topic, partition): written_at}

    def lag_seconds(self) -> float:
        """Return the seconds up to which the sink may be behind; it grows while a server is down, and 0 is sure."""
        if not (self._waiting or self._failing or self._lag or self._gaps or self._parked):
            return 0.0
        known = [*self._has_up_to.values(), *self._gap_since.values()]
        return max(0.0, self._wall_clock() - min(known, default=self._started_at))

    def lagging(self) -> Report | None:
        """Return a warning while the sink is behind for longer than an outage that mends itself."""
        seconds = self.lag_seconds()
        if seconds <= _LAGGING_SECONDS:
            return None
        message = (
            f"The sink {self._sink} may be {seconds:.0f} seconds behind. Its /readyz and its log say what it waits "
            "for; ops/runbooks/events.md says what to do."
        )
        details: Details = {"sink": self._sink, "seconds": round(seconds), "records": self._lag}
        return warning(code="consumer_lagging", message=message, subject=self._sink, details=details)

    @property
    def _lag(self) -> int:
        return sum(self._lags.values())

    def is_alive(self) -> str | None:
        """Return a complaint when the loop hangs, or writes nothing although there is lag and every server answers."""
        now = self._clock()
        if now - self._iterated_at > _STUCK_SECONDS:
            return f"the loop has not run for {now - self._iterated_at:.0f} seconds"
        if self._failing and now - self._failing_since > _STUCK_SECONDS:
            return f"every iteration fails: {self._failing}"
        if self._lag and not self._waiting and now - self._moved_at > _STUCK_SECONDS:
            return f"lag of {self._lag} records, and none written for {now - self._moved_at:.0f} seconds"
        return None

    def is_ready(self) -> str | None:
        """Return the server that it waits for, the error of its last iteration, or its gaps and parked partitions."""
        return self._waiting or self._failing or "; ".join([*self._gaps.values(), *self._parked]) or None
