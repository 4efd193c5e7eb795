"""The sink `daily_sign_ups` passes the conformance suite of sinks, and counts each person once, on their day."""

from datetime import UTC, datetime
from uuid import UUID

from consumers.sink import Record
from consumers.sinks.daily_sign_ups import DailySignUpsSink
from moneyflow.events.user import UserActivated, UserCreated
from moneyflow.platform.database import Database, Session
from tests.support.event_records import bad_record, record_of
from tests.support.sink_conformance import SinkConformance


class TestDailySignUpsSink(SinkConformance):
    sink = DailySignUpsSink()
    keeps_order = False

    def good(self, offset: int) -> Record:
        return record_of(UserCreated, offset=offset)

    def bad(self, offset: int) -> Record:
        return bad_record(UserCreated, offset=offset)

    def written(self, session: Session) -> list[int]:
        return [UUID(row["id"]).int for row in session.fetch_all("select event_id as id from sign_ups")]

    def test_each_sign_up_counts_on_its_day_and_other_events_do_not(self, sink_database: Database) -> None:
        late, early = datetime(2026, 2, 1, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
        signed_up = [record_of(UserCreated, offset=n, time=time) for n, time in enumerate([late, early, early])]

        with sink_database.transaction() as session:
            self.sink.write(session, [*signed_up, record_of(UserActivated, offset=3, time=late)])
            self.sink.write(session, signed_up)

        with sink_database.transaction() as session:
            days = session.fetch_all("select to_char(day, 'MM-DD') as day, sign_ups from days order by day")
        assert [(row["day"], row["sign_ups"]) for row in days] == [("02-01", 1), ("02-02", 2)]
