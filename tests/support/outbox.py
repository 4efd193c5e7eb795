"""What waits in the outbox of events, as its owner sees it."""

from typing import Any

import orjson
import psycopg

from moneyflow.settings import AllSettings


def events(settings: AllSettings, topic: str | None = None) -> list[dict[str, Any]]:
    """Return the envelopes of the events that are not published yet, of one topic or of all, in their order."""
    query = "select value from outbox_events where topic = coalesce(%s, topic) order by sequence"
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        return [orjson.loads(value) for (value,) in connection.execute(query, [topic])]


def execute(settings: AllSettings, statement: str) -> None:
    """Run a statement as the owner, such as one that makes rows older."""
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        connection.execute(statement.encode())
