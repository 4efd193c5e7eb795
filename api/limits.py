"""Rate limits of the API: which there are, and who a client is."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

import falcon

from api.proxies import is_in
from moneyflow.platform.http.rate_limits import RateLimit, RateLimits, network_of
from moneyflow.platform.keyed_hash import keyed_hash

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one route: for a client network, for the address that the request names, and for all together."""

    network: RateLimit
    address: RateLimit
    total: RateLimit


#: A household or an office behind one address signs up; one mailbox gets a handful of mails.
SIGN_UPS = Limits(
    network=RateLimit(name="sign-ups of a network", amount=30, seconds=_HOUR),
    address=RateLimit(name="sign-ups of an address", amount=5, seconds=_HOUR),
    total=RateLimit(name="sign-ups", amount=1200, seconds=_MINUTE),
)
#: SECURITY: OWASP ASVS 5, 6.3.1: guessing one account's password, or one password of many accounts, takes years.
SIGN_INS = Limits(
    network=RateLimit(name="sign-ins of a network", amount=60, seconds=_MINUTE),
    address=RateLimit(name="sign-ins of an address", amount=10, seconds=15 * _MINUTE),
    total=RateLimit(name="sign-ins", amount=3000, seconds=_MINUTE),
)
#: Requests for a mail with a link.
LINKS = Limits(
    network=RateLimit(name="links for a network", amount=30, seconds=_HOUR),
    address=RateLimit(name="links for an address", amount=5, seconds=_HOUR),
    total=RateLimit(name="links", amount=1200, seconds=_MINUTE),
)
#: Files that an account sends; each takes space, and work of a job.
UPLOADS = Limits(
    network=RateLimit(name="uploads of a network", amount=300, seconds=_HOUR),
    address=RateLimit(name="uploads of an account", amount=60, seconds=_HOUR),
    total=RateLimit(name="uploads", amount=1200, seconds=_MINUTE),
)


class ClientLimits:
    """Counts requests by client and by address; `trusted_proxies` may say in `X-Forwarded-For` who the client is."""

    def __init__(
        self, limits: RateLimits, *, secret_key: str, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:
        self._limits = limits
        self._secret_key = secret_key
        self._trusted = tuple(trusted_proxies)

    def check_network(self, request: falcon.Request, response: falcon.Response, limits: Limits) -> None:
        """Count the request for its client network and for all, before anything is parsed or hashed.

        Raises:
            RateLimitedError: there were too many.
        """
        quota = self._limits.check(limits.network, network_of(self._client(request)))
        response.set_headers(quota.headers())
        self._limits.check(limits.total, "all")

    def check_address(self, limits: Limits, subject: str) -> None:
        """Count the request for the address that it names, or for its caller's id. SECURITY: Redis keeps a keyed hash.

        Raises:
            RateLimitedError: there were too many.
        """
        self._limits.check(limits.address, keyed_hash(self._secret_key, subject.lower(), purpose="limit").hex())

    def _client(self, request: falcon.Request) -> str:
        """Return the client's address: the last one in `X-Forwarded-For` that is no trusted proxy's."""
        peer = request.remote_addr
        forwarded = [part.strip() for part in (request.get_header("X-Forwarded-For") or "").split(",") if part.strip()]
        while forwarded and is_in(peer, self._trusted):
            peer = forwarded.pop()
        return peer
