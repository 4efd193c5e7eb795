"""The description of a consumer group, also by a Kafka that has only just started."""

import asyncio
from typing import Any

from aiokafka.errors import GroupCoordinatorNotAvailableError

from moneyflow.platform.brokers.kafka import describe_group


class NewKafka:
    """An admin client of a Kafka that makes its topic of offsets when it is asked for a group."""

    def __init__(self, *, refusals: int) -> None:
        self.refusals = refusals

    async def describe_consumer_groups(self, groups: list[str]) -> list[Any]:
        if self.refusals:
            self.refusals -= 1
            raise GroupCoordinatorNotAvailableError
        return groups


def test_a_group_is_described_once_a_new_kafka_has_a_coordinator_for_it() -> None:
    kafka = NewKafka(refusals=2)

    described = asyncio.run(describe_group(kafka, "money-flow.audit"))

    assert (described, kafka.refusals) == (["money-flow.audit"], 0)
