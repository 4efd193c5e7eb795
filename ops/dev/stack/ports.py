"""Ports of 127.0.0.1: the same as at the last start, else a free one."""

import random
import socket
from pathlib import Path

from ops.dev.stack.home import State

#: Above those that well-known servers listen on.
_FIRST_PORT = 20_000
#: Not seeded: two processes must not choose the same ports.
_dice = random.SystemRandom()


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port on which nothing listens.

    Not one of those that the kernel gives to outgoing connections: a stopped server would lose it to one of them.
    """
    ports = range(_FIRST_PORT, _first_outgoing_port())
    while not is_free(port := _dice.choice(ports)):
        pass
    return port


def _first_outgoing_port() -> int:
    kept = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    return max(int(kept[0]), _FIRST_PORT + 1000)


def kept_port(state: State, name: str, *, preferred: int | None = None) -> int:
    """Return the port of that name: the same as before, or another when it is taken meanwhile."""
    kept: int | None = state.value("ports", name)
    port = kept or preferred
    if port is None or not is_free(port):
        port = free_port()
    if port != kept:
        state.change("ports", name, port)
    return port


def answers(port: int) -> bool:
    """Return whether a server listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
