"""`analytics`: sums of money, people's funnel and counts of days, exact however the events arrive."""

from collections.abc import Sequence

from consumers.sink import Batch, Record, sink
from moneyflow.analytics import freshness, store
from moneyflow.analytics.changes import Changes
from moneyflow.events.topics import AUTH_EVENTS, CATEGORY_EVENTS, TRANSACTION_EVENTS, USER_EVENTS
from moneyflow.platform.database import Session


@sink("analytics")
class AnalyticsSink:
    """Adds up what happened; of categories it counts only who was active."""

    name = "analytics"
    role = "analytics"
    schema = "analytics"
    topics: Sequence[str] = (USER_EVENTS, AUTH_EVENTS, TRANSACTION_EVENTS, CATEGORY_EVENTS)
    #: PERF: what a transaction costs for itself, and a row that many events change, are shared by more of them.
    batch = Batch(records=2000, together=2)

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Write what the events change, and how far the partition is."""
        changes = Changes()
        for record in records:
            changes.add(record.envelope)
        new = store.apply(session, changes)
        times = [record.envelope.time for record in records]
        freshness.written(session, topic=records[0].topic, partition=records[0].partition, event_time=max(times))
        return new

    def caught_up(self, session: Session, partitions: Sequence[tuple[str, int]], *, seconds_ago: float) -> None:
        """Note of which partitions all is written, for those who ask how fresh the sums are."""
        freshness.caught_up(session, partitions, seconds_ago=seconds_ago)
