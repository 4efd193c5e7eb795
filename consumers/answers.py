"""Answers of Kafka to questions of a consumer, each within seconds: the client itself asks again for much longer."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiokafka.errors import KafkaError

from moneyflow.platform.errors import KafkaDownError

T = TypeVar("T")

#: Seconds within which a Kafka that is up answers a question, such as for the ends of partitions.
_ANSWER_SECONDS = 5.0


async def answer(question: Awaitable[T], *, server: str) -> T:
    """Return the answer to a question.

    Raises:
        KafkaDownError: it does not answer.
    """
    try:
        return await asyncio.wait_for(question, _ANSWER_SECONDS)
    except (KafkaError, TimeoutError) as error:
        raise KafkaDownError(f"Kafka does not answer at {server}: {error!r}") from error
