"""TLS to every store: each client takes the server whose certificate its authority has signed, and no other."""

import asyncio
import gc
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pika.exceptions
import psycopg
import pytest
import redis
import redis.asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from moneyflow.platform.brokers import kafka, rabbitmq
from moneyflow.platform.brokers.failed_queue import FailedQueue
from moneyflow.platform.brokers.redis import client_options, connect
from moneyflow.platform.errors import UnavailableError
from moneyflow.settings import AllSettings, load_all
from ops.dev.stack.home import State, write_private
from tests.support.certificates import Certificates, make_certificates
from tests.support.proxy import Proxies
from tests.support.servers import QuickKafka, QuickPostgres, RealServers
from workers.relay.publisher import Publisher

Attempt = Callable[[AllSettings], object]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder that PostgreSQL's own user may pass through."""
    made = Path(tempfile.mkdtemp(prefix="money-flow-tls-", dir="/var/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def ours(folder: Path) -> Certificates:
    return make_certificates(folder / "ours")


@pytest.fixture(scope="module")
def foreign(folder: Path) -> Certificates:
    """Make another authority, which has not signed the server's certificate."""
    return make_certificates(folder / "foreign")


@pytest.fixture
def proxied(servers: RealServers, queues: AllSettings, ours: Certificates) -> Iterator[dict[str, str]]:
    """Put TLS before RabbitMQ and Redis, and return the settings by which they are reached."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours.certificate, ours.key)
    with Proxies() as proxies:
        yield servers.environment | {
            "RABBITMQ_VHOST": queues.rabbitmq_vhost,
            "RABBITMQ_PORT": str(proxies.to(servers.rabbitmq.port, tls=context).port),
            "RABBITMQ_TLS": "true",
            "REDIS_PORT": str(proxies.to(servers.redis.port, tls=context).port),
            "REDIS_TLS": "true",
            "CA_FILE": str(ours.authority),
        }


def _blocking(settings: AllSettings) -> None:
    pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="worker", name="test")).close()


def _publisher(settings: AllSettings) -> None:
    async def connect() -> None:
        publisher = Publisher(rabbitmq.connection_parameters(settings, login="relay", name="test"))
        await publisher.channel()
        publisher.close()

    asyncio.run(connect())


def _kombu(settings: AllSettings) -> None:
    with FailedQueue(settings) as queue:
        queue.depth()


def _redis(settings: AllSettings) -> None:
    client = connect(settings)
    try:
        client.ping()
    finally:
        client.close()


def _redis_in_asyncio(settings: AllSettings) -> None:
    async def ping() -> None:
        async with redis.asyncio.Redis(**client_options(settings)) as client:
            await client.ping()

    asyncio.run(ping())


def _refused(attempt: Attempt, environment: dict[str, str]) -> bool:
    """Return whether a client refuses the server, as one that is not reached."""
    try:
        attempt(load_all(environment))
    except (
        UnavailableError, pika.exceptions.AMQPError, redis.RedisError, ssl.SSLError, psycopg.OperationalError,
        KafkaError, TimeoutError,
    ):  # fmt: skip
        return True
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pika leaves sockets that it gave up.
@pytest.mark.parametrize("attempt", [_blocking, _publisher, _kombu, _redis, _redis_in_asyncio])
def test_clients_of_rabbitmq_and_redis_check_the_certificate(
    attempt: Attempt, proxied: dict[str, str], foreign: Certificates
) -> None:
    assert not _refused(attempt, proxied)
    assert _refused(attempt, proxied | {"CA_FILE": str(foreign.authority)})
    assert _refused(attempt, proxied | {"RABBITMQ_HOST": "localhost", "REDIS_HOST": "localhost"}), "another name"
    assert _refused(attempt, proxied | {"RABBITMQ_TLS": "false", "REDIS_TLS": "false"}), "the server takes TLS alone"
    gc.collect()  # Here, where the warning is ignored, and not in another test.


class TlsPostgres(QuickPostgres):
    """A PostgreSQL with a certificate."""

    certificates: Certificates

    def command(self) -> list[str]:
        files = {"ssl_cert_file": self.folder / "server.pem", "ssl_key_file": self.folder / "server.key"}
        options = ["ssl=on", *(f"{name}={path}" for name, path in files.items())]
        return [*super().command(), *(part for option in options for part in ("-c", option))]

    def prepare(self) -> None:
        super().prepare()
        for name, file in (("server.pem", self.certificates.certificate), ("server.key", self.certificates.key)):
            shutil.copy(file, self.folder / name)
            self._own(self.folder / name)
            (self.folder / name).chmod(0o600)


def _postgres(settings: AllSettings) -> None:
    with psycopg.connect(settings.conninfo("app", application_name="test")) as connection:
        used = connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone()
    assert used == (True,)


def test_postgres_is_reached_by_tls_and_its_certificate_is_checked(
    folder: Path, ours: Certificates, foreign: Certificates
) -> None:
    TlsPostgres.certificates = ours
    server = TlsPostgres(State(folder))
    try:
        server.start()
        server.wait_ready()
        environment = {"SECRET_KEY": "k" * 40, **server.settings(), "CA_FILE": str(ours.authority)}
        tls = environment | {"POSTGRES_TLS": "true", "POSTGRES_HOST": "127.0.0.1"}

        assert not _refused(_postgres, tls)
        assert _refused(_postgres, tls | {"CA_FILE": str(foreign.authority)})
        assert _refused(_postgres, tls | {"POSTGRES_HOST": "localhost"}), "another name"
    finally:
        server.kill()


class TlsKafka(QuickKafka):
    """A Kafka whose clients come by TLS."""

    certificates: Certificates

    def settings(self) -> dict[str, str]:
        return super().settings() | {"KAFKA_TLS": "true", "CA_FILE": str(self.certificates.authority)}

    def _configuration(self) -> str:
        keystore = self.folder / "keystore.pem"
        write_private(keystore, self.certificates.key.read_text() + self.certificates.certificate.read_text())
        lines = super()._configuration().replace("CLIENTS:SASL_PLAINTEXT", "CLIENTS:SASL_SSL")
        return lines + (
            f"ssl.keystore.type=PEM\nssl.keystore.location={keystore}\n"
            f"ssl.truststore.type=PEM\nssl.truststore.location={self.certificates.authority}\n"
        )


def _kafka(settings: AllSettings) -> None:
    async def use() -> None:
        admin = AIOKafkaAdminClient(**kafka.client_options(settings, "migrate"))
        try:
            await asyncio.wait_for(admin.start(), 10)
            await kafka.create_topics(settings)
        finally:
            await admin.close()
        topic = kafka.topic_name(settings, "events.dead_letter")
        async with AIOKafkaProducer(**kafka.client_options(settings, "migrate")) as producer:
            await producer.send_and_wait(topic, b"a record")
        options = kafka.client_options(settings, "migrate")
        async with AIOKafkaConsumer(topic, **options, auto_offset_reset="earliest") as consumer:
            record = await asyncio.wait_for(consumer.getone(), 20)
        assert record.value == b"a record"

    asyncio.run(use())


def test_kafka_is_reached_by_tls_and_its_certificate_is_checked(
    folder: Path, ours: Certificates, foreign: Certificates
) -> None:
    TlsKafka.certificates = ours
    server = TlsKafka(State(folder))
    try:
        server.start()
        server.wait_ready()
        tls = {"SECRET_KEY": "k" * 40, **server.settings()}

        assert not _refused(_kafka, tls)
        assert _refused(_kafka, tls | {"CA_FILE": str(foreign.authority)})
        assert _refused(_kafka, tls | {"KAFKA_HOST": "localhost"}), "another name"
    finally:
        server.kill()
