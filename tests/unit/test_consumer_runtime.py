"""An iteration of a consumer succeeds only when Kafka has answered in it or within the last second."""

import asyncio

import pytest

from consumers import group
from consumers.runtime import Consumer
from consumers.sinks.audit import AuditSink
from moneyflow.platform.database import Database
from moneyflow.platform.errors import KafkaDownError
from moneyflow.settings import load_all
from tests.support.processes import free_port


def test_every_iteration_asks_a_kafka_that_is_down_until_it_answers() -> None:
    """An iteration that did not ask would count as success, and the client would never be replaced."""
    settings = load_all({"SECRET_KEY": "k" * 40, "KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(free_port())})
    database = Database(settings.conninfo("audit", application_name="test"), size=1)

    async def ask_twice() -> None:
        consumer = Consumer(settings, AuditSink(), database)
        consumer._kafka = group.new_client(settings, AuditSink(), session_seconds=10)
        try:
            for _ in range(2):
                with pytest.raises(KafkaDownError, match="Kafka does not answer"):
                    await consumer._measure_lag()
        finally:
            await consumer._kafka.stop()

    asyncio.run(ask_twice())
