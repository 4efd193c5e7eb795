"""Ports of 127.0.0.1: the one that was had before, else one that nobody listens on."""

import socket

from ops.dev.stack.home import State


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kept_port(state: State, name: str, *, preferred: int | None = None) -> int:
    """Return the port of that name: the same as before, or another when somebody else has taken it meanwhile."""
    kept: int | None = state.value("ports", name)
    port = kept or preferred
    if port is None or not is_free(port):
        port = free_port()
    if port != kept:
        state.change("ports", name, port)
    return port


def answers(port: int) -> bool:
    """Say whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
