"""Redis: how to connect, and the names of the channel and the lists that carry notifications."""

import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from moneyflow.platform.settings import PostgresSettings, RedisSettings

#: The prefix of every key and channel of this platform; the ACL allows no other.
PREFIX = "money-flow:"

_CONNECT_TIMEOUT_SECONDS = 0.5


def connect(
    settings: RedisSettings, *, timeout_seconds: float = 0.5, single_connection_client: bool = False
) -> redis.Redis:
    """Return a client with short timeouts: notifications are best effort, so no caller waits long for them."""
    return redis.Redis(
        **client_options(settings),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        single_connection_client=single_connection_client,
    )


class ThreadsOwnRedis(threading.local):
    """A client for each thread that uses it, with a connection of its own.

    PERF: for what every request does. A pool looks with four system calls whether a connection still answers before it
    lends it; here a connection that has broken is opened again when its next command fails.
    """

    def __init__(self, settings: RedisSettings, *, timeout_seconds: float) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._client: redis.Redis | None = None

    @property
    def client(self) -> redis.Redis:
        """Return this thread's client, which the first use connects: a process starts while Redis is down.

        Raises:
            redis.RedisError: its connection cannot be opened.
        """
        if self._client is None:
            timeout_seconds = self._timeout_seconds
            self._client = connect(self._settings, timeout_seconds=timeout_seconds, single_connection_client=True)
        return self._client


def client_options(settings: RedisSettings) -> dict[str, Any]:
    """Return the options by which every client of redis-py, of threads or of asyncio, connects."""
    tls = {"ssl": True, "ssl_ca_certs": settings.ca_file, "ssl_check_hostname": True} if settings.redis_tls else {}
    return {
        "host": settings.redis_host,
        "port": settings.redis_port,
        "username": settings.redis_user,
        "password": settings.redis_password.get_secret_value(),
        "db": settings.redis_db,
        **tls,
    }


def channel(settings: PostgresSettings) -> str:
    """Return the notification channel of this database; installations that share a Redis do not wake one another."""
    return f"{PREFIX}wake:{settings.postgres_db}"


def ready_list(settings: PostgresSettings, priority: int) -> str:
    """Return the key of the list of ready jobs of a priority."""
    return f"{PREFIX}ready:{{{settings.postgres_db}}}:{priority}"  # The braces keep all on one node of a cluster.
