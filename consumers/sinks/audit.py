"""`audit`: every event of every topic, once, in hash chains that show every change made afterwards."""

from collections.abc import Sequence
from typing import Literal

from consumers.sink import Record, sink
from moneyflow.audit import log
from moneyflow.audit.log import Entry
from moneyflow.platform.database import Session
from moneyflow.platform.events import envelope
from moneyflow.platform.events.topics import event_topics


@sink("audit")
class AuditSink:
    """Appends to the audit log."""

    name = "audit"
    role: Literal["audit"] = "audit"
    schema = "audit"
    topics: Sequence[str] = event_topics()

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Append what the log does not have yet; the event's id tells."""
        entries = [
            Entry(offset=record.offset, key=record.key, value=record.value or b"", envelope=envelope.read(record.value))
            for record in records
        ]
        return log.append(session, topic=records[0].topic, partition=records[0].partition, entries=entries)
