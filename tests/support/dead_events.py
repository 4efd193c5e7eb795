"""Dead letters of events, as rows and without a Kafka; and what the consumer of their sink makes of them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID, uuid4

import orjson

from moneyflow.platform.database import Database
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import dead_letters
from moneyflow.settings import AllSettings

TOPIC = "user.events"


@contextmanager
def as_sink(settings: AllSettings) -> Iterator[Database]:
    """Yield the database as the consumer of the audit log has it."""
    database = Database(settings.conninfo("audit", application_name="test"), size=1, schema="audit")
    database.open()
    try:
        yield database
    finally:
        database.close()


def event(*, type: str = "user.created", subject: str | None = None, correlation_id: str | None = None) -> bytes:
    """Return an envelope as far as a dead letter shows it."""
    return orjson.dumps(
        {"id": str(uuid4()), "type": type, "subject": subject or str(uuid4()), "correlationid": correlation_id}
    )


def keep(
    settings: AllSettings,
    count: int,
    *,
    sink: str = "audit",
    first_offset: int = 0,
    value: bytes | None = None,
    error: Exception | None = None,
) -> list[UUID]:
    """Keep dead letters as a consumer does, in one partition, and return their ids in the order of their offsets."""
    with as_sink(settings) as database, database.transaction() as session:
        for offset in range(first_offset, first_offset + count):
            dead_letters.keep(
                session, sink=sink, topic=TOPIC, partition=0, offset=offset, key=b"key",
                value=event() if value is None else value,
                error=error or PoisonError(f"record {offset} is bad"),
            )  # fmt: skip
        rows = session.fetch_all(
            "select id from public.event_dead_letters "
            "where sink = %(sink)s and kafka_offset >= %(first)s and kafka_offset < %(end)s order by kafka_offset",
            {"sink": sink, "first": first_offset, "end": first_offset + count},
        )
    return [row["id"] for row in rows]


def consume(settings: AllSettings, *, sink: str = "audit", still_bad: Collection[UUID] = ()) -> list[UUID]:
    """Take what is due, as the sink's consumer does each second, and return what it took."""
    with as_sink(settings) as database:
        with database.transaction() as session:
            due = dead_letters.due(session, sink=sink, partitions=[(TOPIC, 0)], strict=False, limit=10_000)
        for letter in due:
            with database.transaction() as session:
                if letter["id"] in still_bad:
                    dead_letters.mark_failed_again(session, letter["id"], PoisonError("it is still bad"))
                else:
                    dead_letters.mark_reprocessed(session, letter["id"])
    return [letter["id"] for letter in due]


def states(database: Database, ids: Sequence[UUID]) -> list[str]:
    """Return the state of each."""
    query = "select id, state from event_dead_letters where id = any(%(ids)s)"
    with database.transaction() as session:
        found = {row["id"]: row["state"] for row in session.fetch_all(query, {"ids": list(ids)})}
    return [found[one] for one in ids]
