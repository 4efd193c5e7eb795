"""Server, the base class: a process with a folder, a log, ports and a kept pid, which starts and stops."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ops.dev.stack.contract import NOT_RUNNING, StackError, Status
from ops.dev.stack.home import State, create_private, kept_process
from ops.dev.stack.ports import kept_port
from ops.dev.stack.processes import Identity, last_lines, processes_in, spawn, stop, wait_until


def process_environment() -> dict[str, str]:
    """Return the part of this process's environment that a child needs; it has no setting of the user's."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}


class Server(ABC):
    """A server of the stack, on 127.0.0.1."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 90
    #: The names of its ports; the one that its clients use has none.
    ports: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, state: State) -> None:
        self.state = state
        self.folder = state.home / self.name
        self.log = state.home / "logs" / f"{self.name}.log"
        self._ran_before = False

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers its clients."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the application's settings for this server."""

    def prepare(self) -> None:  # noqa: B027 - not every server needs it
        """Create what the server needs to start; called before each start."""

    def after_ready(self) -> None:  # noqa: B027 - not every server needs it
        """Create what its clients need; called after each start, so it must be repeatable."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the server's own process."""
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder)}

    def user(self) -> str | None:
        """Return the user that it must run as; None for this process's user."""
        return None

    def identity(self) -> Identity | None:
        """Return the identity of its process; None when it does not run."""
        return kept_process(self.state, self.name)

    def runs(self) -> bool:
        """Return whether a process of it runs, whatever it answers."""
        return self.identity() is not None

    def start(self) -> None:
        """Start the process, unless it runs; `wait_ready` waits for it."""
        self._ran_before = self.identity() is not None
        if self._ran_before:
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        create_private(self.log.parent)
        self.choose_ports()
        self.prepare()
        identity = spawn(
            self.command(), environment=self.environment(), log=self.log, folder=self.folder, user=self.user()
        )
        self.state.change("pids", self.name, (identity.pid, identity.started))

    def wait_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            StackError: it ended, or was not ready in time.
        """
        ready = wait_until(lambda: self.identity() is None or self.is_ready(), seconds=self.start_seconds)
        if self.identity() is None and self._ran_before:  # It was stopping, as after a Ctrl-C in `make down`.
            self.start()
            ready = wait_until(lambda: self.identity() is None or self.is_ready(), seconds=self.start_seconds)
        if not ready or self.identity() is None:
            what = "ended" if self.identity() is None else f"was not ready within {self.start_seconds:.0f} seconds"
            raise StackError(
                f"{self.name} {what}; the end of its log ({self.log}):\n{last_lines(self.log)}\n"
                "Correct the cause and repeat the command; `make reset` starts again without the data."
            )
        self.after_ready()

    def stop(self) -> None:
        """Stop it by its own signal for a clean stop."""
        identity = self.identity()
        if identity:
            stop(identity, number=self.stop_signal)
        self.state.change("pids", self.name, None)

    def kill(self) -> None:
        """Kill it and its children by SIGKILL."""
        identity = self.identity()
        if identity:
            identity.signal(signal.SIGKILL, group=True)
            identity.wait_gone(10)
        self.state.change("pids", self.name, None)

    def statuses(self) -> list[Status]:
        """Return its status, with the pid of the process that is the server; reads only."""
        kept: int | None = self.state.value("ports", self._key(""))
        identity = self.identity()
        problem = None if identity and kept and self.is_ready() else "does not answer" if identity else NOT_RUNNING
        return [Status(self.name, f"pid {identity.pid if identity else '-'}, 127.0.0.1:{kept or '-'}", problem)]

    def choose_ports(self) -> None:
        """Choose its ports while it does not run: those of its last start, or others where another program has them."""
        runs = self.identity() is not None
        if not runs:
            self._end_strays()
        for name in self.ports:
            if not runs or self.state.value("ports", self._key(name)) is None:
                kept_port(self.state, self._key(name))

    def port(self, name: str = "") -> int:
        """Return one of its ports, as `choose_ports` has chosen it.

        Raises:
            StackError: none is chosen, because the server was never started.
        """
        kept: int | None = self.state.value("ports", self._key(name))
        if kept is None:
            raise StackError(f"{self.name} has never been started here; start it with `make up`")
        return kept

    def _end_strays(self) -> None:
        """Kill what a killed server, or a start that was killed before it kept the pid, has left running."""
        for stray in processes_in(self.folder):
            stray.signal(signal.SIGKILL)
            stray.wait_gone(10)

    def _key(self, name: str) -> str:
        return f"{self.name}{name and '_'}{name}"
