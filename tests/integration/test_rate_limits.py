"""Rate limits: counted in Redis for all processes together, and more strictly by each process while Redis is down."""

import pytest

from moneyflow.platform.errors import RateLimitedError
from moneyflow.platform.http.rate_limits import RateLimit, RateLimits, network_of
from moneyflow.settings import AllSettings
from ops.dev.stack.ports import free_port
from tests.support.servers import RealServers

_LIMIT = RateLimit(name="sign-ups", amount=8, seconds=3600)


def _passed(limits: RateLimits, key: str = "192.0.2.7", limit: RateLimit = _LIMIT) -> int:
    """Return how many requests pass until one is refused."""
    passed = 0
    while True:
        try:
            limits.check(limit, key)
        except RateLimitedError:
            return passed
        passed += 1


@pytest.fixture
def limits(servers: RealServers, settings: AllSettings) -> RateLimits:
    assert servers.redis.identity(), "it runs"
    return RateLimits(settings)


def test_a_limit_is_shared_by_processes_and_separate_for_each_key_and_kind(
    limits: RateLimits, settings: AllSettings
) -> None:
    assert _passed(limits) == 8
    assert _passed(RateLimits(settings)) == 0
    assert _passed(limits, key="192.0.2.8") == 8
    assert _passed(limits, limit=RateLimit(name="sign-ins", amount=3, seconds=60)) == 3


def test_a_request_learns_what_is_left_and_a_refused_one_when_to_come_back(limits: RateLimits) -> None:
    first = limits.check(_LIMIT, "192.0.2.7")
    _passed(limits)

    with pytest.raises(RateLimitedError, match=r"at most 8 in 3600 seconds; repeat it in \d+ seconds") as caught:
        limits.check(_LIMIT, "192.0.2.7")

    assert (first.limit, first.remaining) == (8, 7)
    assert 0 < caught.value.retry_after_seconds <= 3600
    assert caught.value.headers["RateLimit-Remaining"] == "0"


def test_while_redis_is_down_each_process_lets_a_fraction_through_and_asks_redis_again_later(
    settings: AllSettings, limits: RateLimits
) -> None:
    clock = [0.0]
    broken = settings.model_copy(update={"redis_port": free_port()})
    down = RateLimits(broken, clock=lambda: clock[0])

    assert _passed(down) == 2
    assert _passed(down, key="192.0.2.8") == 2
    assert _passed(limits) == 8


def test_a_load_test_may_raise_every_limit(servers: RealServers, settings: AllSettings) -> None:
    assert servers.redis.identity(), "it runs"

    assert _passed(RateLimits(settings, factor=2)) == 16


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
    ],
)
def test_a_client_is_known_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
