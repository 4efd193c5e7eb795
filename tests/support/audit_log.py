"""The audit log in tests: entries, the log as its own role, and a superuser who changes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg

from moneyflow.audit.append import Entry
from moneyflow.events.user import UserActivated
from moneyflow.platform.database import Database
from moneyflow.platform.events import envelope
from moneyflow.platform.ids import new_id
from moneyflow.platform.telemetry.origin import Origin
from moneyflow.settings import AllSettings
from tests.support.servers import RealServers


def entry(
    offset: int, *, user_id: UUID | None = None, time: datetime | None = None, origin: Origin | None = None
) -> Entry:
    """Return a new event as Kafka delivered it."""
    event = UserActivated(sequence=1, user_id=user_id or uuid4(), activated_at=datetime.now(UTC))
    value = event.envelope(
        event_id=new_id(), source="/money-flow/test", origin=origin or Origin(), time=time or datetime.now(UTC)
    )
    return Entry(offset=offset, key=b"key", value=value, envelope=envelope.read(value))


@contextmanager
def audit_log(settings: AllSettings) -> Iterator[Database]:
    """Open the log as the role that writes it."""
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    database.open()
    try:
        yield database
    finally:
        database.close()


def tamper(servers: RealServers, settings: AllSettings, statements: LiteralString) -> None:
    """Run statements past every right and trigger, as a superuser can."""
    conninfo = psycopg.conninfo.make_conninfo(servers.postgres.superuser_conninfo(), dbname=settings.postgres_db)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # No trigger runs.
        connection.execute(statements)
