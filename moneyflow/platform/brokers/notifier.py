"""Wake the relay at once when something was committed, and tell idle workers which jobs are ready: by way of Redis.

Hints and no more: what gets lost here is found by polling and comes by RabbitMQ. Postgres's NOTIFY would do the same,
but takes one lock for all committing transactions; `ops/dev/bench/wake.py` measures the two side by side.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import cast
from uuid import UUID

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY
from moneyflow.platform.settings import Settings

log = structlog.get_logger(__name__)

#: The part of Redis that is ours: every key and channel begins with it, and the ACL allows nothing else.
PREFIX = "money-flow:"


#: While Redis is away or hangs, one hint in so many seconds is tried.
_SILENT_SECONDS = 5.0
#: Of so many jobs of one commit nobody is told by name: they are work for the relay, which hands them out in batches.
_MOST_OF_ONE_COMMIT = 64
#: So many names are kept for each priority, and so long after the last one: nobody takes them while all are busy.
_MOST_KEPT = 256
_KEPT_MILLISECONDS = 250
#: All of it in one round trip. KEYS: a list a priority; ARGV: channel, hint, two limits, the names for each list.
_TELL = """
redis.call('PUBLISH', ARGV[1], ARGV[2])
for number, list in ipairs(KEYS) do
  for name in string.gmatch(ARGV[4 + number], '%S+') do redis.call('RPUSH', list, name) end
  redis.call('LTRIM', list, -tonumber(ARGV[3]), -1)
  redis.call('PEXPIRE', list, ARGV[4])
end
"""


def channel(settings: Settings) -> str:
    """Return the channel of this database, so that stacks which share a Redis do not wake one another."""
    return f"{PREFIX}wake:{settings.postgres_db}"


class Notifier:
    """Tells the relay that there is work; when it cannot, it says so and keeps quiet for a while."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channel = channel(settings)
        self._redis = connect(settings)
        self._tell = self._redis.register_script(_TELL)
        self._silent_until = 0.0

    def __call__(self, work: Collection[str], ready: Sequence[tuple[int, UUID]]) -> None:
        """Publish what there is to do, and the jobs that are `ready`, each with its priority; never raises.

        After a failure, nobody waits for another one for a while.
        """
        now = time.monotonic()
        if now < self._silent_until:
            return
        try:
            if len(ready) > _MOST_OF_ONE_COMMIT:
                self._redis.publish(self._channel, " ".join({*work, "jobs"}))
            elif ready:
                self._publish_with(ready, " ".join(work))
            else:
                self._redis.publish(self._channel, " ".join(work))
        except redis.RedisError as error:
            log.warning("wake_failed", error=str(error), consequence="the relay finds work by polling")
            self._silent_until = now + _SILENT_SECONDS

    def check(self) -> str | None:
        """Say what is wrong with Redis, or None."""
        self._redis.ping()
        return None

    def _publish_with(self, ready: Sequence[tuple[int, UUID]], hint: str) -> None:
        names: dict[str, list[str]] = {}
        for priority, job_id in sorted(ready, key=itemgetter(0), reverse=True):  # Who waits gets the first list first.
            names.setdefault(_list(self._settings, priority), []).append(str(job_id))
        each = [" ".join(of_list) for of_list in names.values()]
        self._tell(keys=list(names), args=[self._channel, hint, _MOST_KEPT, _KEPT_MILLISECONDS, *each])


class ReadyJobs:
    """The jobs that were said to be ready, as workers take them: each goes to one worker."""

    def __init__(self, settings: Settings) -> None:
        self._lists = [_list(settings, priority) for priority in range(HIGHEST_PRIORITY + 1)]
        self._priorities = {name.encode(): priority for priority, name in enumerate(self._lists)}
        self._redis = connect(settings, patience_seconds=5)

    def take(self, priorities: Iterable[int], *, most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
        """Return up to `most` jobs of the first of the priorities that has any; none when none came while it waited.

        Raises:
            redis.RedisError: Redis is away.
        """
        lists = [self._lists[priority] for priority in priorities]
        found = self._redis.blmpop(wait_seconds, len(lists), *lists, direction="LEFT", count=most)
        if not found:
            return []
        name, ids = cast("tuple[bytes, list[bytes]]", found)
        return [(self._priorities[name], UUID(job_id.decode())) for job_id in ids]

    def put_back(self, names: Sequence[tuple[int, UUID]]) -> None:
        """Let another worker have them, and first; all are of one priority.

        Raises:
            redis.RedisError: Redis is away.
        """
        name = self._lists[names[0][0]]
        self._redis.lpush(name, *(str(job_id) for _, job_id in reversed(names)))
        self._redis.pexpire(name, _KEPT_MILLISECONDS)

    def close(self) -> None:
        """End the connection."""
        self._redis.close()


def _list(settings: Settings, priority: int) -> str:
    return f"{PREFIX}ready:{{{settings.postgres_db}}}:{priority}"  # All on one node of a cluster.


def connect(settings: Settings, *, patience_seconds: float = 0.5) -> redis.Redis:
    """Return a client with short time-outs: nobody waits for a hint."""
    return redis.Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        username=settings.redis_user,
        password=settings.redis_password.get_secret_value(),
        db=settings.redis_db,
        socket_timeout=patience_seconds,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 1),
    )
