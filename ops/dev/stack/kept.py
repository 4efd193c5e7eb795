"""A program that is kept running: its process, and for one that serves an inherited socket its successor as well.

A process that ends is started again, after a pause that grows while it keeps ending. A reload stops the process and
starts it with the current source. One that serves an inherited socket is replaced without a gap: its successor starts
beside it, and it is asked to stop when the successor is ready.
"""

import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping

from ops.dev.stack.application import Program
from ops.dev.stack.home import CHECKOUT, State, kept_process
from ops.dev.stack.listening import Readiness, bound_to
from ops.dev.stack.processes import Identity, spawn
from ops.dev.stack.servers.base import process_environment

_LONGEST_PAUSE_SECONDS = 10.0
#: Seconds that a process has run after which it is started again without a pause.
_SETTLED_SECONDS = 20.0
#: Seconds that a process has to finish its work before a reload, and that a successor has to become ready.
_RELOAD_SECONDS = 60.0


class Kept:
    """A program and its current process."""

    def __init__(
        self, program: Program, state: State, environment: Mapping[str, str], listener: socket.socket | None = None
    ) -> None:
        self.program = program
        self.identity: Identity | None = None
        self.listener = listener
        self._state = state
        self._environment = environment
        self._digest = program.digest(environment)
        self._pause = Pause()
        self._started = 0.0
        self._reload_until: float | None = None
        self._succession = Succession(self) if listener else None

    def adopt(self) -> None:
        """Keep the process that this supervisor started before it replaced itself; reload it when it has changed."""
        kept = kept_process(self._state, self.program.name)
        if kept:
            self.identity, self._started = kept, time.monotonic()
            if self._state.value("digests", self.program.name) != self._digest:
                self.reload()

    def reload(self) -> None:
        """Replace the process, which finishes its work, by one with the current source."""
        self._pause = Pause()
        if self._succession and self.identity:
            self._succession.begin()
        elif self.identity:
            self._reload_until = time.monotonic() + _RELOAD_SECONDS
            self.identity.signal(signal.SIGTERM)

    def look(self) -> None:
        """Start the process when it does not run and its pause has ended."""
        if self._succession and self._succession.look():
            return
        now = time.monotonic()
        if self.identity and self.identity.is_alive():
            if self._reload_until and now > self._reload_until:
                self.identity.signal(signal.SIGKILL)
            return
        if self.identity and not self._reload_until:
            lived = now - self._started
            self._pause = self._pause.after(lived, now)
            log(f"{self.program.name} ended after {lived:.1f} s; it starts again in {self._pause.seconds} s")
            self.identity = None
        if self._reload_until or now >= self._pause.until:
            self.take(self.start())

    def start(self, environment: Mapping[str, str] | None = None) -> Identity:
        """Start a process of the program."""
        return spawn(
            [sys.executable, *self.program.command, *(bound_to(self.listener) if self.listener else ())],
            environment={**process_environment(), **self.program.own(self._environment), **(environment or {})},
            log=self._state.home / "logs" / f"{self.program.name}.log",
            folder=CHECKOUT,
            dies_with_parent=True,
            sockets=(self.listener.fileno(),) if self.listener else (),
        )

    def take(self, identity: Identity) -> None:
        """Make a process the current one."""
        self.identity, self._started, self._reload_until = identity, time.monotonic(), None
        self._state.change("pids", self.program.name, (identity.pid, identity.started))
        self._state.change("digests", self.program.name, self._digest)

    def readiness(self) -> Readiness:
        """Return a socket on which the next process, and no process before it, notifies that it is ready."""
        return Readiness(self._state.home / f"{self.program.name}.{secrets.token_hex(4)}")

    def retiring(self) -> list[Identity]:
        """Return the processes that have a successor and still finish their work."""
        return self._succession.retiring() if self._succession else []

    def give_up_successor(self) -> None:
        """Kill a successor that is not ready yet."""
        if self._succession:
            self._succession.give_up()

    def all(self) -> list[Identity]:
        """Return all its processes: the current one, its predecessors and its successor."""
        successor = self._succession.successor if self._succession else None
        return [one for one in (self.identity, *self.retiring(), successor) if one]


class Pause:
    """The pause before a process that has ended starts again."""

    def __init__(self, seconds: float = 0.0, until: float = 0.0) -> None:
        self.seconds = seconds
        self.until = until

    def after(self, lived: float, now: float) -> "Pause":
        """Return the pause after a process that lived so many seconds: none once it has settled, else a longer one."""
        seconds = 0.0 if lived > _SETTLED_SECONDS else min(max(self.seconds * 2, 0.5), _LONGEST_PAUSE_SECONDS)
        return Pause(seconds, now + seconds)


class Succession:
    """The replacement of a process by a successor on the same socket, which is ready before the old one stops."""

    def __init__(self, kept: Kept) -> None:
        self.successor: Identity | None = None
        self._kept = kept
        self._readiness: Readiness | None = None
        self._since = 0.0
        #: Until when each predecessor has time to finish its requests.
        self._retiring: dict[Identity, float] = {}
        self._pause: Pause | None = None

    def begin(self) -> None:
        """Start the successor; one that is not ready yet is replaced."""
        self.give_up()
        self._since = time.monotonic()
        self._readiness = self._kept.readiness()
        self.successor = self._kept.start(self._readiness.environment)
        self._pause = self._pause or Pause()

    def look(self) -> bool:
        """Continue the replacement; return whether the program runs, so that nothing else is to do."""
        now = time.monotonic()
        self._end_overdue(now)
        current = self._kept.identity
        if current is None or not current.is_alive():
            if self.successor is None:
                self._pause = None
                return False
            self._promote()
        elif self.successor and self._readiness and self._readiness.has_come():
            current.signal(signal.SIGTERM)
            self._retiring[current] = now + _RELOAD_SECONDS
            self._promote()
        elif self.successor and (not self.successor.is_alive() or now > self._since + _RELOAD_SECONDS):
            self._has_failed(now)
        elif self.successor is None and self._pause and now >= self._pause.until:
            self.begin()
        return True

    def give_up(self) -> None:
        """Kill a successor that is not ready yet."""
        if self.successor:
            self.successor.signal(signal.SIGKILL, group=True)
        if self._readiness:
            self._readiness.close()
        self.successor = self._readiness = None

    def retiring(self) -> list[Identity]:
        """Return the predecessors that still finish their work."""
        return [one for one in self._retiring if one.is_alive()]

    def _promote(self) -> None:
        assert self.successor
        self._kept.take(self.successor)
        self.successor = self._pause = None
        self.give_up()

    def _has_failed(self, now: float) -> None:
        """Let the current process continue, and start another successor after a pause."""
        self._pause = (self._pause or Pause()).after(0, now)
        log(
            f"the successor of {self._kept.program.name} was not ready; the reason is in its log. The process "
            f"continues with its old source, and another successor starts in {self._pause.seconds} s"
        )
        self.give_up()

    def _end_overdue(self, now: float) -> None:
        for one, until in list(self._retiring.items()):
            if not one.is_alive():
                del self._retiring[one]
            elif now > until:
                one.signal(signal.SIGKILL, group=True)


def log(text: str) -> None:
    """Print a line with the time, into the supervisor's log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)
