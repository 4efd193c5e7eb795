"""Connections of commands: settings, and a pool on Postgres as the operator, closed at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from moneyflow.platform.database import Database, Session, is_outage
from moneyflow.platform.errors import ConflictError, PostgresDownError
from moneyflow.platform.settings import PostgresSettings
from moneyflow.platform.settings.section import SectionT
from moneyflow.platform.telemetry import origin
from moneyflow.settings import CliSettings, StatusSettings, UserSettings, load
from ops.cli import checkout

#: Seconds to wait for a connection: an operator sees soon that Postgres is down.
_TIMEOUT_SECONDS = 5


def settings_of(kind: type[SectionT]) -> SectionT:
    """Load settings from the environment or .env, else from the stack that runs for this checkout.

    Raises:
        ConfigurationError: with every problem, one per line.
    """
    stack = checkout.running_stack(os.environ)
    return load(kind, {**os.environ, **stack}, checkout.dotenv()) if stack else load(kind)


@contextmanager
def opened(command: str) -> Iterator[tuple[CliSettings, Database]]:
    """Yield settings and database for a command that only reads; it notifies no relay."""
    settings = settings_of(CliSettings)
    with opening(Database(_conninfo(settings, command), size=2, timeout_seconds=_TIMEOUT_SECONDS)) as database:
        yield settings, database


@contextmanager
def opened_with_kafka(command: str) -> Iterator[tuple[StatusSettings, Database]]:
    """Yield settings and database for a command that asks Kafka too."""
    settings = settings_of(StatusSettings)
    with opening(Database(_conninfo(settings, command), size=2, timeout_seconds=_TIMEOUT_SECONDS)) as database:
        yield settings, database


@contextmanager
def opened_for_status(command: str) -> Iterator[tuple[StatusSettings, Database]]:
    """Yield settings and database for a command that says which servers are down, Postgres too."""
    settings = settings_of(StatusSettings)
    database = Database(_conninfo(settings, command), size=1, timeout_seconds=_TIMEOUT_SECONDS)
    database.open()
    try:
        yield settings, database
    finally:
        database.close()


@contextmanager
def opened_to_act(command: str) -> Iterator[tuple[CliSettings, Database]]:
    """Yield settings and database for a command that changes jobs: each commit notifies the relay."""
    from moneyflow.platform.brokers.notifier import Notifier  # noqa: PLC0415 - a command that only reads needs no Redis

    settings = settings_of(CliSettings)
    conninfo = _conninfo(settings, command)
    with opening(Database(conninfo, size=2, timeout_seconds=_TIMEOUT_SECONDS, notify=Notifier(settings))) as database:
        yield settings, database


@contextmanager
def opened_as_app(command: str) -> Iterator[Database]:
    """Yield the database as the API's role, for the one command on people; each commit notifies relay and workers."""
    from moneyflow.platform.brokers.notifier import Notifier  # noqa: PLC0415 - as above

    settings = settings_of(UserSettings)
    origin.set_process("cli")  # The source of the events.
    conninfo = settings.conninfo("app", application_name=f"moneyflow {command}")
    with opening(Database(conninfo, size=1, timeout_seconds=_TIMEOUT_SECONDS, notify=Notifier(settings))) as database:
        yield database


@contextmanager
def opened_as(role: str, command: str, settings: PostgresSettings) -> Iterator[Database]:
    """Yield the database as a role of these settings, for a command of a role of its own that only reads."""
    conninfo = settings.conninfo(role, application_name=f"moneyflow {command}")
    with opening(Database(conninfo, size=1, timeout_seconds=_TIMEOUT_SECONDS)) as database:
        yield database


@contextmanager
def reading_session(command: str) -> Iterator[Session]:
    """Yield a session for a command that only reads."""
    with opened(command) as (_, database), database.transaction() as session:
        yield session


@contextmanager
def working_session(command: str) -> Iterator[Session]:
    """Yield a session for a command that is one transaction, committed at the end of the block."""
    with opened_to_act(command) as (_, database), database.transaction() as session:
        yield session


def _conninfo(settings: PostgresSettings, command: str) -> str:
    return settings.conninfo("operator", application_name=f"moneyflow {command}")


@contextmanager
def opening(database: Database) -> Iterator[Database]:
    """Open a database for the block; errors of Postgres say what to do."""
    database.open()
    try:
        yield database
    except psycopg.errors.UndefinedTable as error:
        raise ConflictError(f"the schema is older than this command; run `python -m ops.migrate`: {error}") from error
    except psycopg.Error as error:
        if is_outage(error):
            raise PostgresDownError(f"Postgres does not answer; see whether it runs, and its log: {error}") from error
        raise PostgresDownError(
            f"Postgres refused a statement, whose transaction changed nothing; see its log: {error}"
        ) from error
    finally:
        database.close()
