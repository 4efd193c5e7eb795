"""The sink of the CRM passes the conformance suite of sinks, and marks the people whom events are about."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumers.sink import Record
from consumers.sinks.crm import CrmSink
from moneyflow.events.auth import SignedIn, SignInFailed
from moneyflow.events.topics import AUTH_EVENTS, USER_EVENTS
from moneyflow.events.user import UserActivated, UserDeleted, UserUpdated
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events.contract import Event
from moneyflow.platform.telemetry.origin import Origin
from tests.support.sink_conformance import SinkConformance

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _record(offset: int, event: Event, *, topic: str = USER_EVENTS) -> Record:
    value = event.envelope(event_id=UUID(int=offset), source="/money-flow/test", origin=Origin(), time=_MOMENT)
    return Record(topic=topic, partition=0, offset=offset, key=b"key", value=value)


class TestCrmSink(SinkConformance):
    sink = CrmSink()

    def good(self, offset: int) -> Record:
        # A person for each record: many events of one person are one mark.
        return _record(offset, UserActivated(sequence=1, user_id=UUID(int=offset), activated_at=_MOMENT))

    def bad(self, offset: int) -> Record:
        return Record(topic=USER_EVENTS, partition=0, offset=offset, key=b"key", value=b"no envelope")

    def written(self, session: Session) -> list[int]:
        return [row["user_id"].int for row in session.fetch_all("select user_id from contacts order by ctid")]

    @pytest.fixture
    def session(self, sink_database: Database) -> Session:
        return sink_database.transaction()

    def test_many_events_of_one_person_are_one_mark(self, session: Session) -> None:
        ada = UUID(int=1)
        events = [UserUpdated(sequence=n, user_id=ada, changed=("name",)) for n in (2, 3, 4)]

        with session:
            assert self.sink.write(session, [_record(n, event) for n, event in enumerate(events)]) == 3
            assert self.sink.write(session, [_record(2, events[2])]) == 0
            (row,) = session.fetch_all("select user_sequence, revision, due_at is not null as is_due from contacts")

        assert row == {"user_sequence": 4, "revision": 1, "is_due": True}

    def test_a_sign_in_is_noted_and_an_older_one_that_comes_later_changes_nothing(self, session: Session) -> None:
        ada = UUID(int=1)
        first, second = (SignedIn(sequence=n, user_id=ada, session_id=ada) for n in (5, 6))

        with session:
            self.sink.write(session, [_record(1, second, topic=AUTH_EVENTS)])
            assert self.sink.write(session, [_record(0, first, topic=AUTH_EVENTS)]) == 0
            (row,) = session.fetch_all("select auth_sequence, user_sequence, last_sign_in_at from contacts")

        assert row == {"auth_sequence": 6, "user_sequence": 0, "last_sign_in_at": _MOMENT}

    def test_what_is_nothing_of_a_contact_marks_no_one(self, session: Session) -> None:
        failed = SignInFailed(sequence=1, principal=str(UUID(int=1)), reason="wrong_password")

        with session:
            assert self.sink.write(session, [_record(0, failed, topic=AUTH_EVENTS)]) == 1
            assert session.fetch_all("select from contacts") == []

    def test_a_change_brings_back_a_person_who_was_set_aside(self, session: Session) -> None:
        with session:
            self.sink.write(session, [self.good(1)])
            session.execute("update contacts set due_at = null, set_aside_at = now(), error = 'INVALID_EMAIL'")
            self.sink.write(session, [_record(2, UserDeleted(sequence=2, user_id=UUID(int=1)))])
            (row,) = session.fetch_all("select set_aside_at, error, due_at is not null as is_due from contacts")

        assert row == {"set_aside_at": None, "error": None, "is_due": True}
