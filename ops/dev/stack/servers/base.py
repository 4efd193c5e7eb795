"""What every server has in common: a folder, a log, a pid that is known, and a start that says when it fails."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ops.dev.stack.contract import StackError
from ops.dev.stack.home import State
from ops.dev.stack.ports import kept_port
from ops.dev.stack.processes import Identity, last_lines, processes_in, spawn, stop, wait_until


def process_environment() -> dict[str, str]:
    """Return what a process of ours needs of the environment of whoever starts it, and no setting of theirs."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}


class Server(ABC):
    """One real server of the stack, on 127.0.0.1."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 90

    def __init__(self, state: State) -> None:
        self.state = state
        self.folder = state.home / self.name
        self.log = state.home / "logs" / f"{self.name}.log"
        self._ran_before = False

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that is this server, in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Say whether it answers as its users expect."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the environment by which the application finds it."""

    def prepare(self) -> None:  # noqa: B027 - not every server needs it
        """Make what must be there before a start; is called before each one."""

    def after_ready(self) -> None:  # noqa: B027 - not every server needs it
        """Make what must be there before it is used; is called after each start and must be repeatable."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the server's own process."""
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder)}

    def user(self) -> str | None:
        """Return the user it must run as, or None for the one that starts it."""
        return None

    def identity(self) -> Identity | None:
        """Return its process when it runs."""
        kept = self.state.value("pids", self.name)
        identity = Identity(*kept) if kept else None
        return identity if identity and identity.is_alive() else None

    def start(self) -> None:
        """Begin to start it, unless it runs."""
        self._ran_before = self.identity() is not None
        if self._ran_before:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        for stray in processes_in(self.folder):  # Of a start that was killed before it could note its pid.
            stray.signal(signal.SIGKILL)
            stray.wait_gone(10)
        self.prepare()
        identity = spawn(
            self.command(), environment=self.environment(), log=self.log, folder=self.folder, user=self.user()
        )
        self.state.change("pids", self.name, (identity.pid, identity.started))

    def wait_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            StackError: when it ended, or was not ready in time.
        """
        ready = wait_until(lambda: self.identity() is None or self.is_ready(), seconds=self.start_seconds)
        if self.identity() is None and self._ran_before:  # It was on its way down, as after a Ctrl-C in `make down`.
            self.start()
            ready = wait_until(lambda: self.identity() is None or self.is_ready(), seconds=self.start_seconds)
        if not ready or self.identity() is None:
            what = "ended" if self.identity() is None else f"was not ready within {self.start_seconds:.0f} seconds"
            raise StackError(
                f"{self.name} {what}; the end of its log ({self.log}):\n{last_lines(self.log)}\n"
                "Mend what it complains of and repeat the command; `make reset` begins anew, without the data."
            )
        self.after_ready()

    def stop(self) -> None:
        """Stop it in its own clean way."""
        identity = self.identity()
        if identity:
            stop(identity, number=self.stop_signal)
        self.state.change("pids", self.name, None)

    def kill(self) -> None:
        """Kill it as a crash of the machine would."""
        identity = self.identity()
        if identity:
            identity.signal(signal.SIGKILL, group=True)
            identity.wait_gone(10)
        self.state.change("pids", self.name, None)

    def port(self, name: str = "") -> int:
        """Return one of its ports; while it runs, the one that it has."""
        key = f"{self.name}{name and '_'}{name}"
        if self.identity():
            kept: int = self.state.value("ports", key)
            return kept
        return kept_port(self.state, key)
