"""`daily_sign_ups`: count the people who signed up on each day."""

from collections.abc import Sequence
from pathlib import Path

from consumers.sink import Record, sink
from moneyflow.events.user import UserCreated
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@sink("daily_sign_ups")
class DailySignUpsSink:
    """Count the people who signed up on each day."""

    name = role = schema = "daily_sign_ups"
    topics: Sequence[str] = (UserCreated.topic,)

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Add the events whose ids are not here yet; other types on the topic are done with as they are."""
        envelopes = [record.envelope for record in records]
        events = [event for event in envelopes if event.type == UserCreated.type]
        for event in events:
            UserCreated.from_envelope(event)  # Raises PoisonError for data that is no user.created.
        rows = {"ids": [event.id for event in events], "times": [event.time for event in events]}
        return session.count_rows(_QUERIES["add"], rows) + len(records) - len(events)
