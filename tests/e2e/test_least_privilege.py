"""Least privilege, tried: what is in the environment of each running process opens its own doors and no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, LiteralString

import httpx
import pika
import pika.exceptions
import psycopg
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from redis.backoff import NoBackoff
from redis.retry import Retry

from moneyflow.platform.brokers.kafka import SASL_MECHANISM
from ops.dev.stack.application import CONSUMERS
from ops.dev.stack.home import State
from ops.dev.stack.servers.postgres import ROLES
from ops.dev.stack.servers.rabbitmq import LOGINS
from tests.support.stacks import SecondStack

#: The secrets of each process, by their names in the stack's state.
_SECRETS = {
    "api": {"application", "app", "redis"},
    "worker-1": {"application", "worker", "rabbitmq_worker", "redis", "audit_checkpoints"},
    "worker-2": {"application", "worker", "rabbitmq_worker", "redis", "audit_checkpoints"},
    "relay-1": {"relay", "rabbitmq_relay", "kafka_relay", "redis"},
    "relay-2": {"relay", "rabbitmq_relay", "kafka_relay", "redis"},
    **{name: {sink, f"kafka_{sink}"} for sink, name in CONSUMERS.items()},
    "consumer-crm": {"crm", "kafka_crm", "crm_token"},
    "crm": {"crm_token"},  # The double of it.
}
_POSTGRES = {
    "api": "app",
    "worker-1": "worker",
    "relay-1": "relay",
    "consumer-audit": "audit",
    "consumer-analytics": "analytics",
    "consumer-crm": "crm",
}
_RABBITMQ = {"worker-1": "worker", "relay-1": "relay"}
_KAFKA = {
    "relay-1": "relay",
    "consumer-audit": "audit",
    "consumer-analytics": "analytics",
    "consumer-crm": "crm",
}
_PROCESSES = ("api", "worker-1", "relay-1", "consumer-audit", "consumer-analytics", "consumer-crm")

_NEW_JOB = (
    "insert into jobs (id, kind, version, priority, payload, state, due_at, max_attempts, time_limit_seconds) "
    "values (gen_random_uuid(), 'x', 1, 1, '{}', 'scheduled', now(), 1, 1)"
)
#: What each statement does, and who may.
_STATEMENTS: dict[LiteralString, set[str]] = {
    _NEW_JOB: {"api", "worker-1", "relay-1"},
    "update jobs set state = 'running' where false": {"worker-1", "relay-1"},
    "delete from jobs where false": {"worker-1"},
    "insert into workers (name, lease_seconds) values ('x', 1)": {"worker-1"},
    "select email from users": {"api", "worker-1", "consumer-crm"},
    "select password_hash from users": {"api", "worker-1"},
    "update crm.contacts set due_at = null where false": {"consumer-crm"},
    "delete from crm.contacts where false": {"worker-1"},
    "update payments set state = 'succeeded' where false": {"worker-1"},
    "update sandbox.charges set requests = 0 where false": {"worker-1"},
    "delete from outbox_events where false": {"relay-1"},
    "insert into operations (id) select id from operations where false": set(),
    "insert into audit.events select * from audit.events where false": {"consumer-audit"},
    "update audit.events set value = '' where false": set(),
    "delete from audit.events where false": set(),
    "truncate audit.events": set(),
    "insert into analytics.counted select * from analytics.counted where false": {"consumer-analytics"},
    "select amount from public.transactions where false": {"api", "worker-1", "consumer-analytics"},
    "select note from public.transactions where false": {"api", "worker-1"},
    "create table mine (id integer)": set(),
    "set role audit_owner": set(),
}

Environments = dict[str, dict[str, str]]


@pytest.fixture
def home(stack: SecondStack) -> Path:
    """Return the folder of a whole stack without Docker."""
    return stack.home


@pytest.fixture
def environments(home: Path) -> Environments:
    """Return the environment of every process and server that the stack runs, as the kernel has it."""
    found = {}
    for name, (pid, _) in State(home).read()["pids"].items():
        parts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        found[name] = dict(part.decode().split("=", 1) for part in parts if b"=" in part)
    return found


def _passwords(environment: Mapping[str, str]) -> set[str]:
    return {value for name, value in environment.items() if name.endswith(("_PASSWORD", "_KEY")) and value}


@pytest.mark.timeout(600)
def test_no_process_and_no_server_has_the_secret_of_another(home: Path, environments: Environments) -> None:
    secrets: dict[str, str] = State(home).read()["secrets"]

    found = {
        process: {name for name, secret in secrets.items() if any(secret in value for value in environment.values())}
        for process, environment in environments.items()
    }

    assert {name: found[name] for name in _SECRETS} == _SECRETS
    assert {name: secrets for name, secrets in found.items() if name not in _SECRETS and secrets} == {}
    assert {"supervisor", "postgres", "rabbitmq", "kafka", "redis"} <= found.keys()


def test_each_process_opens_postgres_as_its_own_role_and_no_other(home: Path, environments: Environments) -> None:
    port = State(home).value("ports", "postgres")

    for process in _PROCESSES:
        opened = {
            user
            for user, password in product([*ROLES, "postgres"], _passwords(environments[process]))
            if _opens_postgres(port, user, password)
        }
        assert opened == {_POSTGRES[process]}, process


def test_each_process_does_its_work_in_postgres_and_nothing_that_others_do(
    home: Path, environments: Environments
) -> None:
    port = State(home).value("ports", "postgres")

    allowed: dict[str, set[str]] = {statement: set() for statement in _STATEMENTS}
    for process in _PROCESSES:
        role = _POSTGRES[process]
        prefix = "POSTGRES" if role == "app" else f"POSTGRES_{role.upper()}"
        password = environments[process][f"{prefix}_PASSWORD"]
        with psycopg.connect(_conninfo(port, role, password), autocommit=True) as connection:
            for statement in _STATEMENTS:
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    continue
                allowed[statement].add(process)

    assert allowed == _STATEMENTS


def test_each_process_opens_rabbitmq_as_its_own_user_and_does_its_work_alone(
    home: Path, environments: Environments
) -> None:
    ports = State(home).read()["ports"]
    acts: dict[str, Callable[[Any], object]] = {
        "publish to jobs": lambda channel: channel.basic_publish("jobs", "nowhere", b""),
        "publish to jobs.dead": lambda channel: channel.basic_publish("jobs.dead", "", b"a test"),
        "read jobs": lambda channel: channel.basic_get("jobs"),
        "read jobs_failed": lambda channel: channel.basic_get("jobs_failed"),
        "write to a queue by its name": lambda channel: channel.basic_publish("", "jobs", b""),
        "declare a queue": lambda channel: channel.queue_declare("mine"),
        "delete jobs": lambda channel: channel.queue_delete("jobs"),
        "purge jobs": lambda channel: channel.queue_purge("jobs"),
        "bind": lambda channel: channel.queue_bind("jobs", "jobs", "more"),
    }
    wanted = {"relay-1": {"publish to jobs", "publish to jobs.dead"}, "worker-1": {"read jobs", "purge jobs"}}

    for process in _PROCESSES:
        logins = list(product([*LOGINS, "guest"], _passwords(environments[process])))
        own = [_RABBITMQ[process]] if process in _RABBITMQ else []
        opened = [login for login in logins if _opens_rabbitmq(ports["rabbitmq"], login)]
        managed = [login for login in logins if _opens_management(ports["rabbitmq_management"], login)]
        done = {name for name, act in acts.items() for login in opened if _may(ports["rabbitmq"], login, act)}

        assert [user for user, _ in opened] == own, process
        assert managed == []
        assert done == wanted.get(process, set()), process


def test_each_process_opens_kafka_as_its_own_user_and_does_its_work_alone(
    home: Path, environments: Environments
) -> None:
    port = State(home).value("ports", "kafka")
    wanted = {
        "relay-1": {"write user.events", "write system.events"},
        "consumer-audit": {"read user.events", "read system.events", "write events.dead_letter", "join its group"},
        # The group is the audit log's.
        "consumer-analytics": {"read user.events", "read system.events", "write events.dead_letter"},
        "consumer-crm": {"read user.events", "read system.events", "write events.dead_letter"},
    }
    users = ["broker", "migrate", "relay", "audit", "analytics", "crm"]

    for process in _PROCESSES:
        logins = list(product(users, _passwords(environments[process])))
        own = [_KAFKA[process]] if process in _KAFKA else []
        opened = asyncio.run(_opened_in_kafka(port, logins))
        done = {name for login in opened for name in asyncio.run(_done_in_kafka(port, login))}

        assert [user for user, _ in opened] == own, process
        assert done == wanted.get(process, set()), process


@pytest.mark.parametrize("port", ["kafka", "kafka_controller"])
def test_without_a_login_nothing_in_kafka_can_be_read_or_written(home: Path, port: str) -> None:
    assert not asyncio.run(_opens_kafka(State(home).value("ports", port), None))


def test_a_consumer_opens_no_redis(home: Path, environments: Environments) -> None:
    port = State(home).value("ports", "redis")

    opened = {process: _opens_redis(port, _passwords(environments[process])) for process in _PROCESSES}

    assert [process for process, is_opened in opened.items() if is_opened] == ["api", "worker-1", "relay-1"]


def _conninfo(port: int, user: str, password: str) -> str:
    return psycopg.conninfo.make_conninfo(
        host="127.0.0.1", port=port, dbname="money_flow", user=user, password=password
    )


def _opens_postgres(port: int, user: str, password: str) -> bool:
    try:
        psycopg.connect(_conninfo(port, user, password)).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False
    return True


def _rabbitmq(port: int, login: tuple[str, str]) -> pika.BlockingConnection:
    credentials = pika.PlainCredentials(*login)
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, "money_flow", credentials))


def _opens_rabbitmq(port: int, login: tuple[str, str]) -> bool:
    try:
        _rabbitmq(port, login).close()
    except pika.exceptions.ProbableAuthenticationError:
        return False
    return True


def _opens_management(port: int, login: tuple[str, str]) -> bool:
    answer = httpx.get(f"http://127.0.0.1:{port}/api/overview", auth=login, timeout=20, trust_env=False)
    return answer.is_success


def _may(port: int, login: tuple[str, str], act: Callable[[Any], object]) -> bool:
    """Return whether RabbitMQ lets the user act; what it refuses closes the channel with 403."""
    connection = _rabbitmq(port, login)
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        act(channel)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != httpx.codes.FORBIDDEN:
            raise
        return False
    finally:
        connection.close()
    return True


def _opens_redis(port: int, passwords: set[str]) -> bool:
    for user, password in product(["app", "default"], passwords):
        # Without retries: redis-py would repeat each refused login for seconds.
        client = redis.Redis(port=port, username=user, password=password, retry=Retry(NoBackoff(), retries=0))
        try:
            client.ping()
        except redis.AuthenticationError:
            continue
        finally:
            client.close()
        return True
    return False


def _options(port: int, login: tuple[str, str] | None) -> dict[str, Any]:
    address = {"bootstrap_servers": f"127.0.0.1:{port}", "request_timeout_ms": 5000}
    if login is None:
        return address
    user, password = login
    return address | {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": SASL_MECHANISM,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


async def _opens_kafka(port: int, login: tuple[str, str] | None) -> bool:
    admin = AIOKafkaAdminClient(**_options(port, login))
    try:
        await asyncio.wait_for(admin.start(), 10)
        await asyncio.wait_for(admin.list_topics(), 10)
    except (KafkaError, TimeoutError):
        return False
    finally:
        await admin.close()
    return True


async def _opened_in_kafka(port: int, logins: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the logins that Kafka accepts."""
    opens = await asyncio.gather(*(_opens_kafka(port, login) for login in logins))
    return [login for login, is_open in zip(logins, opens, strict=True) if is_open]


async def _done_in_kafka(port: int, login: tuple[str, str]) -> list[str]:
    """Return what Kafka lets the user do."""
    options = _options(port, login)
    acts = {
        **{
            f"write {topic}": _write(options, topic) for topic in ("user.events", "system.events", "events.dead_letter")
        },
        **{f"read {topic}": _read(options, topic) for topic in ("user.events", "system.events", "events.dead_letter")},
        "join its group": _join(options),
        "create a topic": _create_topic(options),
    }
    refused = (
        TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError,
        TimeoutError,  # aiokafka asks for ever for a topic that the user may not see.
    )  # fmt: skip

    async def is_done(act: Coroutine[Any, Any, object]) -> bool:
        try:
            await asyncio.wait_for(act, 5)
        except refused:
            return False
        return True

    done = await asyncio.gather(*map(is_done, acts.values()))
    return [name for name, is_allowed in zip(acts, done, strict=True) if is_allowed]


@asynccontextmanager
async def _started(client: Any) -> AsyncIterator[Any]:
    """Start a client for the block, and stop it also when its start is refused."""
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def _write(options: dict[str, Any], topic: str) -> None:
    async with _started(AIOKafkaProducer(**options)) as producer:
        await producer.send_and_wait(topic, b"not an event")


async def _read(options: dict[str, Any], topic: str) -> None:
    async with _started(AIOKafkaConsumer(**options)) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        await consumer.position(TopicPartition(topic, 0))
        await consumer.getmany(timeout_ms=1000)


async def _join(options: dict[str, Any]) -> None:
    async with _started(AIOKafkaConsumer("user.events", **options, group_id="money-flow.audit")) as consumer:
        await consumer.getmany(timeout_ms=1000)


async def _create_topic(options: dict[str, Any]) -> None:
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic("mine", 1, 1)])
        for _, code, *_rest in answer.topic_errors:
            if code:
                raise for_code(code)
    finally:
        await admin.close()
