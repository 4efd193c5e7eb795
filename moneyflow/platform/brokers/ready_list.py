"""Ready list: the ids of jobs that were just committed, on Redis, for idle workers to claim at once.

Best effort: the claim decides who runs a job, and RabbitMQ delivers every job whose id is lost here.
"""

from collections.abc import Iterable, Sequence
from typing import cast
from uuid import UUID

from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY
from moneyflow.platform.brokers.redis import connect, ready_list
from moneyflow.platform.settings import NotifierSettings

#: Milliseconds that ids stay on a list after the last one: while all workers are busy, no worker takes them.
KEPT_MILLISECONDS = 250

#: Seconds that Redis may take to answer; longer than the longest wait of a `take`.
_TIMEOUT_SECONDS = 5


class ReadyList:
    """Ready list, as workers read it: each id goes to one worker."""

    def __init__(self, settings: NotifierSettings, *, kept_milliseconds: int = KEPT_MILLISECONDS) -> None:
        self._kept_milliseconds = kept_milliseconds
        self.server = settings.redis_address
        self._lists = [ready_list(settings, priority) for priority in range(HIGHEST_PRIORITY + 1)]
        self._priorities = {name.encode(): priority for priority, name in enumerate(self._lists)}
        self._redis = connect(settings, timeout_seconds=_TIMEOUT_SECONDS)

    def take(self, priorities: Iterable[int], *, most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
        """Return up to `most` ids of the first of the priorities that has any; wait for one, up to `wait_seconds`.

        Raises:
            redis.RedisError: Redis is down.
        """
        lists = [self._lists[priority] for priority in priorities]
        found = self._redis.blmpop(wait_seconds, len(lists), *lists, direction="LEFT", count=most)
        if not found:
            return []
        name, ids = cast("tuple[bytes, list[bytes]]", found)
        return [(self._priorities[name], UUID(job_id.decode())) for job_id in ids]

    def put_back(self, ids: Sequence[tuple[int, UUID]]) -> None:
        """Return ids to the head of their list, for another worker; all are of one priority.

        Raises:
            redis.RedisError: Redis is down.
        """
        name = self._lists[ids[0][0]]
        self._redis.lpush(name, *(str(job_id) for _, job_id in reversed(ids)))
        self._redis.pexpire(name, self._kept_milliseconds)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
