"""The analytics sink passes the conformance suite of sinks."""

import datetime as dt
from uuid import UUID

from consumers.sink import Record
from consumers.sinks.analytics import AnalyticsSink
from moneyflow.events.topics import TRANSACTION_EVENTS
from moneyflow.events.transaction import TransactionCreated
from moneyflow.platform.database import Session
from moneyflow.platform.telemetry.origin import Origin
from tests.support.sink_conformance import SinkConformance

_MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def _record(offset: int, value: bytes) -> Record:
    return Record(topic=TRANSACTION_EVENTS, partition=0, offset=offset, key=b"key", value=value)


class TestAnalyticsSink(SinkConformance):
    sink = AnalyticsSink()
    keeps_order = False

    def good(self, offset: int) -> Record:
        event = TransactionCreated(
            sequence=1,
            user_id=UUID(int=1),
            transaction_id=UUID(int=offset),
            kind="expense",
            amount="12.34",
            currency="EUR",
            date=dt.date(2026, 1, 1),
            category_id=None,
        )
        value = event.envelope(event_id=UUID(int=offset), source="/money-flow/test", origin=Origin(), time=_MOMENT)
        return _record(offset, value)

    def bad(self, offset: int) -> Record:
        good = self.good(offset).value or b""
        return _record(offset, good.replace(b'"12.34"', b'"{12"'))

    def written(self, session: Session) -> list[int]:
        rows = session.fetch_all("select id from transactions order by id")
        total = session.fetch_one("select coalesce(sum(transactions), 0) as count from daily_sums")
        assert total == {"count": len(rows)}, "each is counted once"
        return [row["id"].int for row in rows]
