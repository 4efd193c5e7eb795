"""The real servers, started once for all tests, and for each test a database, a vhost and topics of its own."""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from moneyflow.platform import settings as settings_module
from moneyflow.platform.brokers import kafka
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.platform.settings import Settings
from ops.migrate import declare_queues, upgrade_schema
from tests.support import rabbitmq_admin
from tests.support.servers import RealServers, real_servers

_TEMPLATE = "money_flow_template"
#: So that a test of time-outs does not take them: see `settings` below.
_FAST = {"WORKER_LEASE_SECONDS": "3", "WORKER_THREADS": "4", "WORKER_SHUTDOWN_SECONDS": "10"}


def pytest_sessionstart() -> None:
    """Let SIGTERM end the run as Ctrl-C does: every fixture cleans up, and no process is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def servers() -> Iterator[RealServers]:
    """Start PostgreSQL, Redis, RabbitMQ, Kafka and the mail catcher; a server that does not start fails the tests."""
    with real_servers() as running:
        yield running


@pytest.fixture(scope="session")
def template(servers: RealServers) -> str:
    """Migrate one database, to be cloned for each test."""
    _sql(servers, f'create database "{_TEMPLATE}" owner owner')
    upgrade_schema(settings_module.load(servers.environment | {"POSTGRES_DB": _TEMPLATE}))
    return _TEMPLATE


@pytest.fixture
def environment(servers: RealServers, template: str) -> Iterator[dict[str, str]]:
    """Return the environment of a process that sees only this test's database, vhost, topics and Redis database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _sql(servers, f'create database "{name}" template "{template}" owner owner')
    rabbitmq_admin.create_vhost(servers, name)
    unique = {"POSTGRES_DB": name, "RABBITMQ_VHOST": name, "KAFKA_TOPIC_PREFIX": f"{name}."}
    yield servers.environment | _FAST | unique
    rabbitmq_admin.delete_vhost(servers, name)
    with suppress(psycopg.Error):
        _sql(servers, f'drop database "{name}" with (force)')


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """Return the settings of this test."""
    return settings_module.load(environment)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return this test's database, as the application's role."""
    database = Database(settings.conninfo("app", application_name="test"), size=8)
    database.open()
    yield database
    database.close()


@pytest.fixture
def told(settings: Settings) -> Iterator[Database]:
    """Return the database as a process has it that tells workers and the relay."""
    database = Database(settings.conninfo("app", application_name="test"), size=2, on_work=Notifier(settings))
    database.open()
    yield database
    database.close()


@pytest.fixture
def queues(settings: Settings) -> Settings:
    """Declare RabbitMQ's topology in this test's vhost."""
    declare_queues(settings)
    return settings


@pytest.fixture
def topics(settings: Settings) -> Settings:
    """Create Kafka's topics under this test's prefix."""
    asyncio.run(kafka.create_topics(settings))
    return settings


def _sql(servers: RealServers, statement: str) -> None:
    with psycopg.connect(servers.postgres.superuser_conninfo(), autocommit=True) as connection:
        connection.execute(statement)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fault tests be repeated and made longer; see `make chaos`."""
    parser.addoption("--chaos-seed", type=int, default=1, help="the seed of the first round of random faults")
    parser.addoption("--chaos-rounds", type=int, default=0, help="rounds of the long form, each with the next seed")
    parser.addoption("--chaos-results", default="", help="the folder to write the report of all rounds to")
    parser.addoption("--chaos-without", default="nothing", help="a safeguard to take out: see it turn red")


def pytest_configure() -> None:
    """Let no setting of the developer's shell reach a test."""
    for name in settings_module.known_names() & os.environ.keys():
        del os.environ[name]
