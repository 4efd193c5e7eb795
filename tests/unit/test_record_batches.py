"""Record batches of the relay: an event is in the partition in which any client of Kafka looks for its key."""

from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner

from workers.relay.record_batches import partition_of


@pytest.mark.parametrize("partitions", [1, 3, 12])
def test_the_partition_of_a_key_is_that_of_kafkas_own_clients(partitions: int) -> None:
    every, choose = list(range(partitions)), DefaultPartitioner()

    for key in [b"", b"k", "ë".encode(), *(str(UUID(int=number)).encode() for number in range(50))]:
        assert partition_of(key, set(every)) == choose(key, every, every)
