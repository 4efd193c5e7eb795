"""`audit`: every event of every topic, once, in hash chains that show every change made afterwards."""

from collections.abc import Sequence
from typing import Literal

from consumers.sink import Record, sink
from moneyflow.database import Session
from moneyflow.events import envelope
from moneyflow.events.topics import EVENT_TOPICS
from moneyflow.services import audit
from moneyflow.services.audit import Entry


@sink("audit")
class AuditSink:
    """Appends to the audit log."""

    name = "audit"
    role: Literal["audit"] = "audit"
    schema = "audit"
    topics: Sequence[str] = EVENT_TOPICS

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Append what the log does not have yet; the event's id tells."""
        entries = [
            Entry(offset=record.offset, key=record.key, value=record.value or b"", envelope=envelope.read(record.value))
            for record in records
        ]
        return audit.append(session, topic=records[0].topic, partition=records[0].partition, entries=entries)
