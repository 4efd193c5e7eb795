"""A steady stream of jobs and events, made from a thread while a test breaks something."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg

from moneyflow.events.user import UserActivated
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support.effects import LeaveEffect


@dataclass
class Stream:
    """What was accepted: a commit that was answered. What was not answered may be there or not."""

    user_id: UUID = field(default_factory=uuid4)
    jobs: list[UUID] = field(default_factory=list)
    events: int = 0
    unanswered: int = 0


@contextmanager
def steady_work(database: Database, *, every_seconds: float = 0.05) -> Iterator[Stream]:
    """Enqueue a job and emit an event in one transaction, again and again, until the block ends."""
    stream, stop = Stream(), threading.Event()

    def work() -> None:
        while not stop.wait(every_seconds):
            try:
                with database.transaction() as session:
                    job_id = enqueue(session, LeaveEffect(seconds=0.02))
                    sequence = stream.events + stream.unanswered + 1
                    event = UserActivated(sequence=sequence, user_id=stream.user_id, activated_at=datetime.now(UTC))
                    emit(session, event)
            except (psycopg.Error, PostgresDownError):
                stream.unanswered += 1
                continue
            stream.jobs.append(job_id)
            stream.events += 1

    thread = threading.Thread(target=work, name="steady work", daemon=True)
    thread.start()
    try:
        yield stream
    finally:
        stop.set()
        thread.join(30)
