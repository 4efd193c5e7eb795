"""Trusted proxies: what they say of a client is believed, and of no one else."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address


def is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Return whether an address is one of these networks'; what is no address is in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
