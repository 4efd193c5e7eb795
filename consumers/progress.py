"""Whether a consumer moves: what liveness, readiness and the metrics say of it."""

import time
from collections.abc import Mapping

from aiokafka import TopicPartition

from moneyflow.platform.telemetry import metrics

#: A turn takes at most a poll and a write with its time-outs.
_STUCK_SECONDS = 120.0


class Progress:
    """What the consumer's loop has told of itself last."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._turned = self._moved = time.monotonic()
        self._lag = 0
        self._waiting: str | None = "Kafka: not joined yet"
        self._failing: str | None = None
        self._failing_since = 0.0
        self._gaps: dict[TopicPartition, str] = {}

    def turned(self) -> None:
        """Note that the loop goes round."""
        self._turned = time.monotonic()

    def moved(self) -> None:
        """Note that a batch was written."""
        self._moved = time.monotonic()
        self._waiting = None
        metrics.consumer_last_progress.labels(self._sink).set_to_current_time()

    def waiting_for(self, what: str) -> None:
        """Note that a server is away: standing still is right then, and no reason to be killed."""
        self._waiting = what
        metrics.consumer_lag.clear()  # Nobody knows it now.

    def failing(self, what: str) -> None:
        """Note that a turn met what nobody expected: a bug, or a schema that is not ours."""
        self._failing_since = self._failing_since if self._failing else time.monotonic()
        self._failing = what

    def gap(self, partition: TopicPartition, what: str) -> None:
        """Note that records are gone which the sink has not seen."""
        self._gaps[partition] = what

    def no_gap(self, partition: TopicPartition) -> None:
        """Note that a partition is whole."""
        self._gaps.pop(partition, None)

    def lags(self, lags: Mapping[tuple[str, int], int]) -> None:
        """Note how many records each partition is behind its end, after a turn in which every server answered."""
        self._waiting = self._failing = None
        self._lag = sum(lags.values())
        for (topic, partition), lag in lags.items():
            metrics.consumer_lag.labels(self._sink, topic, str(partition)).set(lag)
        if self._lag == 0 and not self._gaps:
            self.moved()

    def is_alive(self) -> str | None:
        """Say whether the loop hangs, or stands still although there is work and every server answers."""
        now = time.monotonic()
        if now - self._turned > _STUCK_SECONDS:
            return f"the loop has not turned for {now - self._turned:.0f} seconds"
        if self._failing and now - self._failing_since > _STUCK_SECONDS:
            return f"every turn fails: {self._failing}"
        if self._lag and not self._waiting and now - self._moved > _STUCK_SECONDS:
            return f"{self._lag} records behind and nothing written for {now - self._moved:.0f} seconds"
        return None

    def is_ready(self) -> str | None:
        """Say what it waits for, or where records are missing."""
        return self._waiting or self._failing or "; ".join(self._gaps.values()) or None
