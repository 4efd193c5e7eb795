"""`python -m ops.stack.supervisor`: keep the application's processes running on this machine.

A process that ends is started again, later and later while it keeps ending. When the supervisor is killed the kernel
kills its children; when it is asked to stop, it asks them.
"""

import os
import signal
import sys
import threading
import time

from ops.stack.application import Program, programs
from ops.stack.home import CHECKOUT, State, stack_home
from ops.stack.processes import Identity, spawn, stop

_LONGEST_PAUSE_SECONDS = 10.0
#: One that ran for this long had its start behind it: the next start comes at once.
_SETTLED_SECONDS = 20.0
_POLL_SECONDS = 0.1
_STOP_SECONDS = 30.0


class _Kept:
    """One program and the process that it is at the moment."""

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.identity: Identity | None = None
        self._state = state
        self._started = 0.0
        self._pause = 0.0

    def look(self) -> None:
        """Start the process when it does not run and its pause is over."""
        if self.identity and self.identity.is_alive():
            return
        now = time.monotonic()
        if self.identity:
            lived = now - self._started
            self._pause = 0.0 if lived > _SETTLED_SECONDS else min(max(self._pause * 2, 0.5), _LONGEST_PAUSE_SECONDS)
            _say(f"{self.program.name} ended after {lived:.1f} s; it starts again in {self._pause} s")
            self.identity = None
            self._started = now + self._pause
        if now >= self._started:
            self._start()

    def _start(self) -> None:
        identity = spawn(
            [sys.executable, *self.program.command],
            environment={**os.environ, **self.program.environment},
            log=self._state.home / "logs" / f"{self.program.name}.log",
            folder=CHECKOUT,
            dies_with_parent=True,
        )
        self.identity, self._started = identity, time.monotonic()
        self._state.change("pids", self.program.name, (identity.pid, identity.started))


def main() -> int:
    """Supervise until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    state = State(stack_home())
    kept = [_Kept(program, state) for program in programs(state)]
    while not stopping.wait(_POLL_SECONDS):
        _reap()
        for one in kept:
            one.look()
    running = [one.identity for one in kept if one.identity]
    for identity in running:
        identity.signal(signal.SIGTERM)
    for identity in running:
        stop(identity, seconds=_STOP_SECONDS)
    return 0


def _reap() -> None:
    """Take the exit codes of children that ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
