"""The audit sink passes the conformance suite of sinks."""

from datetime import UTC, datetime
from uuid import UUID

from consumers.sink import Record
from consumers.sinks.audit import AuditSink
from moneyflow.events.topics import USER_EVENTS
from moneyflow.events.user import UserActivated
from moneyflow.platform.database import Session
from moneyflow.platform.telemetry.origin import Origin
from tests.support.sink_conformance import SinkConformance

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _record(offset: int, value: bytes) -> Record:
    return Record(topic=USER_EVENTS, partition=0, offset=offset, key=b"key", value=value)


class TestAuditSink(SinkConformance):
    sink = AuditSink()

    def good(self, offset: int) -> Record:
        event = UserActivated(sequence=1, user_id=UUID(int=offset), activated_at=_MOMENT)
        value = event.envelope(event_id=UUID(int=offset), source="/money-flow/test", origin=Origin(), time=_MOMENT)
        return _record(offset, value)

    def bad(self, offset: int) -> Record:
        return _record(offset, b"no envelope")

    def written(self, session: Session) -> list[int]:
        return [row["kafka_offset"] for row in session.fetch_all("select kafka_offset from events order by position")]
