"""`python -m ops.migrate`: migrate Postgres, RabbitMQ and Kafka to this version; safe to repeat."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import psycopg
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, NullPool, create_engine, text

import moneyflow.events
from moneyflow.metadata import METADATA
from moneyflow.platform.brokers import kafka, rabbitmq
from moneyflow.platform.brokers.kafka_rights import grant_rights
from moneyflow.platform.settings import PostgresSettings, RabbitmqSettings
from moneyflow.platform.telemetry.start import begin, run
from moneyflow.settings import SINKS, MigrateSettings

log = structlog.get_logger(__name__)

#: Key of the advisory lock by which one migration runs at a time, even when several containers start.
_LOCK = 20010


def upgrade_schema(settings: MigrateSettings, *, revision: str = "head") -> None:
    """Migrate the schema up to `revision`, as the owner."""
    with _owner_connection(settings) as connection:
        command.upgrade(alembic_config(settings, connection), revision)


def downgrade_schema(settings: MigrateSettings, *, revision: str) -> None:
    """Migrate the schema down to `revision`, as the owner."""
    with _owner_connection(settings) as connection:
        command.downgrade(alembic_config(settings, connection), revision)


def alembic_config(settings: MigrateSettings, connection: Connection) -> Config:
    """Return Alembic's configuration, made in code instead of a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = METADATA
    roles = (*MigrateSettings.postgres_roles, *MigrateSettings.postgres_grantees)
    config.attributes["roles"] = {role: settings.user(role) for role in roles}
    return config


@contextmanager
def _owner_connection(settings: PostgresSettings) -> Iterator[Connection]:
    """Yield a connection of the owner with the migration lock."""
    conninfo = settings.conninfo("owner", application_name="migrate")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        yield connection
        connection.commit()


def declare_queues(settings: RabbitmqSettings) -> None:
    """Declare RabbitMQ's topology."""
    connection = pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="migrate", name="migrate"))
    try:
        rabbitmq.declare_topology(connection.channel())
    finally:
        connection.close()


def declare_topics(settings: MigrateSettings) -> list[str]:
    """Create Kafka's topics and grant each user its rights on them; return the topics that are new."""
    assert moneyflow.events, "the import declares every topic of the application"
    created = asyncio.run(kafka.create_topics(settings))
    sinks = {sink: settings.kafka_user(sink) for sink in SINKS}
    relay, operator = settings.kafka_user("relay"), settings.kafka_user("operator")
    asyncio.run(grant_rights(settings, relay=relay, operator=operator, sinks=sinks))
    return created


def main() -> int:
    """Migrate all three servers; return 0 when all of it succeeded."""
    settings = begin("migrate", MigrateSettings, whole=True)
    upgrade_schema(settings)
    log.info("schema_migrated")
    declare_queues(settings)
    log.info("queues_declared")
    created = declare_topics(settings)
    log.info("topics_created", created=created)
    return 0


if __name__ == "__main__":
    run(main)
