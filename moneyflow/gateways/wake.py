"""Wake the relay at once when something was committed: a message on a Redis channel.

A hint and no more. Postgres's NOTIFY would do the same, but takes one lock for all committing transactions;
`ops/bench/wake.py` measures the two side by side.
"""

import time

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from moneyflow.settings import Settings

log = structlog.get_logger(__name__)

#: The part of Redis that is ours: every key and channel begins with it, and the ACL allows nothing else.
PREFIX = "money-flow:"


#: While Redis is away or hangs, one hint in so many seconds is tried.
_SILENT_SECONDS = 5.0


def channel(settings: Settings) -> str:
    """Return the channel of this database, so that stacks which share a Redis do not wake one another."""
    return f"{PREFIX}wake:{settings.postgres_db}"


class Waker:
    """Tells the relay that there is work; when it cannot, it says so and keeps quiet for a while."""

    def __init__(self, settings: Settings) -> None:
        self._channel = channel(settings)
        self._redis = connect(settings)
        self._silent_until = 0.0

    def __call__(self) -> None:
        """Publish the hint; never raises. After a failure, nobody waits for another one for a while."""
        now = time.monotonic()
        if now < self._silent_until:
            return
        try:
            self._redis.publish(self._channel, b"1")
        except redis.RedisError as error:
            log.warning("wake_failed", error=str(error), consequence="the relay finds work by polling")
            self._silent_until = now + _SILENT_SECONDS

    def check(self) -> str | None:
        """Say what is wrong with Redis, or None."""
        self._redis.ping()
        return None


def connect(settings: Settings) -> redis.Redis:
    """Return a client with short time-outs: nobody waits for a hint."""
    return redis.Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        username=settings.redis_user,
        password=settings.redis_password.get_secret_value(),
        db=settings.redis_db,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 1),
    )
