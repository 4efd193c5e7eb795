"""A topic that takes no events holds up its own and no others, and nothing is sent again and again."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import psycopg
from aiokafka.admin import AIOKafkaAdminClient

from moneyflow.events.topics import AUTH_EVENTS, USER_EVENTS
from moneyflow.events.user import UserActivated
from moneyflow.platform.brokers import kafka
from moneyflow.platform.database import Database
from moneyflow.platform.events.emit import emit
from moneyflow.settings import AllSettings
from tests.support.kafka_records import everything_in
from tests.support.processes import Processes
from tests.support.waiting import eventually


async def _delete_topic(settings: AllSettings, topic: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options(settings, "migrate"))
    await admin.start()
    await admin.delete_topics([kafka.topic_name(settings, topic)])
    await admin.close()


def _emit(database: Database, count: int) -> None:
    for _ in range(count):
        with database.transaction() as session:
            emit(session, UserActivated(sequence=1, user_id=uuid4(), activated_at=datetime.now(UTC)))


def _left(settings: AllSettings) -> dict[str, int]:
    with psycopg.connect(settings.conninfo("relay", application_name="test")) as connection:
        rows = connection.execute("select topic, count(*) from outbox_events group by topic").fetchall()
    return {row[0]: row[1] for row in rows}


def test_events_after_one_that_kafka_refuses_are_published_once_and_it_is_published_when_its_topic_is_back(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    asyncio.run(_delete_topic(platform, AUTH_EVENTS))
    _emit(database, 3)
    with database.transaction() as session:
        session.execute(
            "insert into outbox_events (id, topic, key, value) values (%(id)s, %(topic)s, 'k', '{}')",
            {"id": uuid4(), "topic": AUTH_EVENTS},
        )
    _emit(database, 3)

    processes.relay()
    eventually(lambda: _left(platform) == {AUTH_EVENTS: 1}, seconds=80, what="only the refused one is left")
    _emit(database, 2)
    eventually(lambda: _left(platform) == {AUTH_EVENTS: 1}, seconds=80, what="others continue")

    ids = [orjson.loads(record.value)["id"] for record in everything_in(platform, USER_EVENTS)]
    assert len(ids) == len(set(ids)) == 8
    asyncio.run(kafka.create_topics(platform))
    eventually(lambda: _left(platform) == {}, seconds=80, what="it went out too")
