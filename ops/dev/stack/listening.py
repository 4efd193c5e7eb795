"""The API's listening socket, which outlives the processes that serve it, and their notifications that they are ready.

A connection that comes while one process is replaced by the next waits in the socket's queue: none is refused.
`make up` opens the socket when it chooses the port, and the supervisor inherits it: two stacks that start at the same
time both find the usual port free, and the minute in which the servers start is long.
"""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from ops.dev.stack.application import choose_ports, programs
from ops.dev.stack.home import State, kept_process

#: Connections that wait for a process; the default of gunicorn.
_BACKLOG = 2048
#: In the environment of a supervisor: the name of each program with a socket that it inherits, and the socket.
_INHERITED = "SUPERVISOR_SOCKETS"
#: How often another program may take a port between its choice and its opening.
_ATTEMPTS = 20
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


def open_sockets(state: State) -> dict[str, socket.socket]:
    """Choose the ports of the application and open its sockets; none while a supervisor runs, which has opened them.

    Raises:
        OSError: no port could be opened.
    """
    for _ in range(_ATTEMPTS):
        choose_ports(state)
        served = [] if kept_process(state, "supervisor") else [one for one in programs(state) if one.inherits_socket]
        with ExitStack() as opened, suppress(OSError):
            found = {one.name: opened.enter_context(listen("127.0.0.1", one.port)) for one in served}
            opened.pop_all()
            return found
    raise OSError(f"{_ATTEMPTS} ports were taken by other programs as soon as they were chosen; repeat the command")


def handed_on(sockets: Mapping[str, socket.socket]) -> dict[str, str]:
    """Return the variable by which a supervisor finds the sockets of its programs."""
    return {_INHERITED: json.dumps({name: opened.fileno() for name, opened in sockets.items()})}


def inherited() -> dict[str, socket.socket]:
    """Return the sockets that this process has inherited by name of their program."""
    found = {
        name: socket.socket(fileno=number) for name, number in json.loads(os.environ.pop(_INHERITED, "{}")).items()
    }
    for kept in found.values():
        kept.set_inheritable(True)
    return found


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
