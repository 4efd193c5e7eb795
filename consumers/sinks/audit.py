"""`audit`: every event of every topic, once, in hash chains that show every later change."""

from collections.abc import Sequence

from consumers.sink import Batch, Record, sink
from moneyflow.audit.append import Entry, append
from moneyflow.events import event_topics
from moneyflow.platform.database import Session


@sink("audit")
class AuditSink:
    """Appends to the audit log."""

    name = "audit"
    role = "audit"
    schema = "audit"
    topics: Sequence[str] = event_topics()
    #: PERF: what a transaction costs for itself is shared by more records than by default.
    batch = Batch(records=2000, together=2)

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Append the events whose ids the log does not have yet."""
        entries = [
            Entry(offset=record.offset, key=record.key, value=record.value or b"", envelope=record.envelope)
            for record in records
        ]
        return append(session, topic=records[0].topic, partition=records[0].partition, entries=entries)
