"""A consumer's turn is good only when Kafka has answered in it or a moment before."""

import asyncio

import pytest

from consumers.runtime import Consumer
from consumers.sinks.audit import AuditSink
from moneyflow.platform.database import Database
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.settings import load
from tests.support.processes import free_port


def test_every_turn_asks_a_kafka_that_is_away_until_it_answers() -> None:
    """A turn that did not ask would pass for a good one, and the client would never be thrown away."""
    settings = load({"SECRET_KEY": "k" * 40, "KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(free_port())})
    database = Database(settings.conninfo("audit", application_name="test"), size=1)

    async def ask_twice() -> None:
        consumer = Consumer(settings, AuditSink(), database)
        consumer._kafka = consumer._new_kafka()
        try:
            for _ in range(2):
                with pytest.raises(UnavailableError, match="Kafka does not answer"):
                    await consumer._measure()
        finally:
            await consumer._kafka.stop()

    asyncio.run(ask_twice())
