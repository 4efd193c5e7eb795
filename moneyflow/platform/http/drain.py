"""Drain: an API that stops cuts no connection, so that a balancer can replace one replica after the other.

When a listening socket closes, the kernel resets the connections that wait in its queue, also those whose request was
sent. A balancer must not repeat such a request elsewhere: it may have been done. So the socket first drops new SYNs,
without an answer; its processes take what waits; then it closes. A client whose SYN was dropped sends it again and is
refused, which is safe to repeat elsewhere. Some kernels let only root drop them; elsewhere the balancer has to stop
sending before the API stops, as `ops/docker/roll-api.sh` does.
"""

import ctypes
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

#: Seconds that the queue stays empty before the socket closes: a handshake that was begun needs a round trip.
_SETTLED_SECONDS = 0.3
#: Seconds at most; processes that are all busy take no connection meanwhile.
_LONGEST_SECONDS = 5.0
_POLL_SECONDS = 0.02
#: Linux's option, which Python does not name.
_SO_ATTACH_FILTER = 26
#: In struct tcp_info: of a listening socket, the connections that wait in its queue.
_WAITING = struct.Struct("24xI")
#: A classic BPF program on the TCP header: drop what has SYN and not ACK among its flags, keep all else.
_DROP_NEW = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # Load the byte of the flags.
        (0x54, 0, 0, 0x12),  # Keep SYN and ACK.
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # Drop it.
        (0x06, 0, 0, 0xFFFFFFFF),  # Keep it.
    )
)


def drain_before_stop(server: Any) -> None:
    """Have gunicorn's master drain its sockets before a graceful stop, unless another process serves them as well."""
    stop = server.stop

    def drained(*, graceful: bool = True) -> None:
        if graceful and not _is_shared(server):
            drain([listener.sock for listener in server.LISTENERS])
        stop(graceful)

    server.stop = lambda graceful=True: drained(graceful=graceful)


def drain(listeners: Sequence[socket.socket]) -> None:
    """Let no new connection in, and wait until the processes have taken those that wait."""
    for listener in listeners:
        with suppress(OSError):  # Not Linux, or not allowed: it closes without.
            _drop_new(listener)
    until = time.monotonic() + _LONGEST_SECONDS
    settled = time.monotonic() + _SETTLED_SECONDS
    while time.monotonic() < min(until, settled):
        if any(map(_waiting, listeners)):
            settled = time.monotonic() + _SETTLED_SECONDS
        time.sleep(_POLL_SECONDS)


def _is_shared(server: Any) -> bool:
    """Return whether the sockets stay open after this master: a service manager's, or those of its successor."""
    inherited = any(isinstance(address, int) for address in server.cfg.address)
    return bool(inherited or server.systemd or server.reexec_pid or server.master_pid)


def _drop_new(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(_DROP_NEW, len(_DROP_NEW))
    count = len(_DROP_NEW) // struct.calcsize("HBBI")
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))


def _waiting(listener: socket.socket) -> int:
    try:
        information = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING.size)
        waiting: int = _WAITING.unpack(information)[0]
    except (OSError, AttributeError, struct.error):
        return 0
    return waiting
