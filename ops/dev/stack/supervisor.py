"""`python -m ops.dev.stack.supervisor`: keep the application's processes running on this machine.

A process that ends is started again. With BUILD_ENV=dev a change of the product's source restarts all of them as a
deployment does. When the supervisor is killed the kernel kills its children; when it is asked to stop, it stops them.
At SIGHUP it replaces itself by the checkout's current supervisor, which keeps the processes and the API's socket, and
starts, replaces and stops what differs from the declared programs and their settings. Each process is given its own
settings and secrets, and no other process's.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from moneyflow.platform.settings import ProcessSettings, known_names
from moneyflow.settings import load
from ops.dev.stack.application import Program, choose_ports, programs
from ops.dev.stack.home import CHECKOUT, State, create_home, create_private
from ops.dev.stack.kept import Kept, log
from ops.dev.stack.listening import handed_on, inherited, listen, open_sockets
from ops.dev.stack.processes import Identity, identify, stop

if TYPE_CHECKING:
    from ops.dev.stack.reload import Changes

_POLL_SECONDS = 0.1
_STOP_SECONDS = 30.0


class Supervisor:
    """All programs of the application, and the sockets that they serve."""

    def __init__(self, state: State, sockets: Mapping[str, socket.socket]) -> None:
        self.stopping = threading.Event()
        self.replacing = threading.Event()
        self._state = state
        given = {name: os.environ[name] for name in known_names() & os.environ.keys()}
        environment = {**given, **(state.value("stack", "environment") or {})}
        self._kept = [Kept(one, state, environment, _listener(one, sockets)) for one in programs(state)]
        self._stop_removed()
        for one in self._kept:
            one.adopt()

    def run(self, changes: "Changes | None") -> None:
        """Keep the programs running until asked to stop."""
        while not self.stopping.wait(_POLL_SECONDS):
            _reap()
            changed = changes.to_take_up() if changes else set()
            if changed:
                log(f"reloading: {', '.join(sorted(str(file.relative_to(CHECKOUT)) for file in changed))}")
                for one in self._kept:
                    one.reload()
            for one in self._kept:
                one.look()
            if self.replacing.is_set() and not any(one.retiring() for one in self._kept):
                self._replace()
        self._stop_all()

    def _replace(self) -> None:
        """Become the checkout's current supervisor, with the same pid and children."""
        for one in self._kept:
            one.give_up_successor()
        sockets = {one.program.name: one.listener for one in self._kept if one.listener}
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until the next supervisor handles it.
        log("replaced by the checkout's current supervisor")
        command = [sys.executable, "-m", "ops.dev.stack.supervisor"]
        os.execve(sys.executable, command, os.environ | handed_on(sockets))  # noqa: S606 - without a shell

    def _stop_removed(self) -> None:
        """Stop the processes of programs that the checkout no longer declares."""
        for name in self._state.read().get("digests", {}).keys() - {one.program.name for one in self._kept}:
            kept = self._state.value("pids", name)
            if kept:
                stop(Identity(*kept), seconds=_STOP_SECONDS)
            for section in ("pids", "digests", "ports"):
                self._state.change(section, name, None)

    def _stop_all(self) -> None:
        running = [identity for one in self._kept for identity in one.all()]
        for identity in running:
            identity.signal(signal.SIGTERM)
        for identity in running:
            stop(identity, seconds=_STOP_SECONDS)


def main() -> int:
    """Supervise until SIGTERM."""
    state = State(create_home())
    create_private(state.home / "logs")
    sockets = inherited() or open_sockets(state)
    itself = identify(os.getpid())
    assert itself
    state.change("pids", "supervisor", (itself.pid, itself.started))
    choose_ports(state)  # Of programs that are new since the supervisor before this one.
    supervisor = Supervisor(state, sockets)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stopping.set())
    signal.signal(signal.SIGHUP, lambda *_: supervisor.replacing.set())
    supervisor.run(_changes())
    return 0


def _listener(program: Program, sockets: Mapping[str, socket.socket]) -> socket.socket | None:
    """Return the program's socket, from `make up` or the supervisor before this one where they have opened it."""
    if not program.inherits_socket:
        return None
    if program.name in sockets:
        return sockets[program.name]
    try:
        return listen("127.0.0.1", program.port)
    except OSError as error:
        sys.exit(f"port {program.port} of {program.name} cannot be opened: {error}; `make up` chooses another one")


def _changes() -> "Changes | None":
    """Watch the source in development only: the production image has no library for it."""
    if load(ProcessSettings).build_env != "dev":
        return None
    from ops.dev.stack.reload import Changes  # noqa: PLC0415 - see above

    return Changes()


def _reap() -> None:
    """Take the exit codes of children that ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main())
