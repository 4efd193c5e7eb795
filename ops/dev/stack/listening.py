"""The API's listening socket, which outlives the processes that serve it, and their notifications that they are ready.

A connection that comes while one process is replaced by the next waits in the socket's queue: none is refused.
"""

import socket
from contextlib import suppress
from pathlib import Path

#: Connections that wait for a process; the default of gunicorn.
_BACKLOG = 2048
#: What `api/server.py` notifies of. gunicorn itself notifies of READY=1 earlier, before its processes have loaded it.
_LOADED = b"STATUS=the application is loaded"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the port, and that a child or a successor of this process can inherit.

    Raises:
        OSError: the port is taken.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    opened = socket.socket(family)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    opened.set_inheritable(True)
    return opened


def bound_to(listener: socket.socket) -> tuple[str, ...]:
    """Return the arguments by which gunicorn serves an inherited socket."""
    return ("--bind", f"fd://{listener.fileno()}")


class Readiness:
    """The notification of one process that it is ready, by the protocol of sd_notify."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variable by which the process finds this."""
        return {"NOTIFY_SOCKET": str(self._path)}

    def has_come(self) -> bool:
        """Return whether the process has notified that it is ready."""
        with suppress(BlockingIOError):
            while received := self._socket.recv(4096):
                if _LOADED in received.splitlines():
                    return True
        return False

    def close(self) -> None:
        """Close and delete the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
