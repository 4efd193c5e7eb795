"""Rate limits: how many requests of one kind a client network, an address or all callers together may make.

Counted in Redis, for all processes of the API together. While Redis is down each process counts by itself, and a
fraction of the requests passes: never all of them.
"""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from moneyflow.platform.brokers.redis import PREFIX, connect
from moneyflow.platform.errors import RateLimitedError
from moneyflow.platform.settings import NotifierSettings

log = structlog.get_logger(__name__)

#: The part of a limit that one process lets through while Redis is down; several processes run.
_LOCAL_PART = 0.25
#: Seconds until Redis is asked again after an error.
_RETRY_SECONDS = 1.0
_TIMEOUT_SECONDS = 0.5
#: Bits of the network that counts as one client: a household has a /64 of IPv6 and changes its addresses at will.
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most `amount` requests within any `seconds`, for each key of the kind `name`."""

    name: str
    amount: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What is left of a limit: for the headers `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the headers of an answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class RateLimits:
    """Counts requests. `factor` multiplies every limit, such as for a load test of one machine."""

    def __init__(
        self, settings: NotifierSettings, *, factor: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        pool = connect(settings, timeout_seconds=_TIMEOUT_SECONDS).connection_pool
        storage = RedisStorage(
            "redis://", connection_pool=pool, key_prefix=f"{PREFIX}limits:{{{settings.postgres_db}}}"
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._factor = factor
        self._clock = clock
        self._lock = threading.Lock()
        self._shared_from = -math.inf

    def check(self, limit: RateLimit, key: str) -> Quota:
        """Count a request and return what is left.

        Raises:
            RateLimitedError: there were too many.
        """
        if self._is_shared():
            try:
                return self._hit(self._shared, limit, key, part=1.0)
            except redis.RedisError as error:
                with self._lock:
                    self._shared_from = self._clock() + _RETRY_SECONDS
                log.warning("rate_limits_local", error=str(error), consequence="each process counts by itself")
        return self._hit(self._local, limit, key, part=_LOCAL_PART)

    def _is_shared(self) -> bool:
        with self._lock:
            return self._clock() >= self._shared_from

    def _hit(self, strategy: SlidingWindowCounterRateLimiter, limit: RateLimit, key: str, *, part: float) -> Quota:
        item = RateLimitItemPerSecond(max(1, int(limit.amount * self._factor * part)), limit.seconds, limit.name)
        passes = strategy.hit(item, key)
        window = strategy.get_window_stats(item, key)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        quota = Quota(limit=item.amount, remaining=window.remaining, reset_seconds=seconds)
        if not passes:
            raise RateLimitedError(
                f"too many requests ({limit.name}): at most {item.amount} in {limit.seconds} seconds; repeat it in "
                f"{seconds} seconds",
                retry_after_seconds=seconds,
                headers=quota.headers(),
            )
        return quota


def network_of(address: str) -> str:
    """Return the client network of an IP address: the address itself, or its /64 for IPv6; any other text as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
