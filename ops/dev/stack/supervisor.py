"""`python -m ops.dev.stack.supervisor`: keep the application's processes running on this machine.

A process that ends is started again, after a pause that grows while it keeps ending. With BUILD_ENV=dev a change of the
product's source restarts all of them as a deployment does. When the supervisor is killed the kernel kills its children;
when it is asked to stop, it stops them. Each process is given its own settings and secrets, and no other process's.
"""

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from moneyflow.platform.settings import ProcessSettings
from moneyflow.settings import load
from ops.dev.stack.application import Program, programs
from ops.dev.stack.environment import environment_of, stack_environment
from ops.dev.stack.home import CHECKOUT, State, stack_home
from ops.dev.stack.processes import Identity, spawn, stop

if TYPE_CHECKING:
    from ops.dev.stack.reload import Changes

_LONGEST_PAUSE_SECONDS = 10.0
#: Seconds that a process has run after which it is started again without a pause.
_SETTLED_SECONDS = 20.0
_POLL_SECONDS = 0.1
_STOP_SECONDS = 30.0
#: Seconds that a process has to finish its work before a reload.
_RELOAD_SECONDS = 60.0


class _Kept:
    """A program and its current process."""

    def __init__(self, program: Program, state: State, environment: dict[str, str]) -> None:
        self.program = program
        self._environment = environment
        self.identity: Identity | None = None
        self._state = state
        self._started = 0.0
        self._pause = 0.0
        self._reload_until: float | None = None

    def reload(self) -> None:
        """Stop the process, which finishes its work, and start it again with the current source."""
        self._pause = self._started = 0.0
        if self.identity:
            self._reload_until = time.monotonic() + _RELOAD_SECONDS
            self.identity.signal(signal.SIGTERM)

    def look(self) -> None:
        """Start the process when it does not run and its pause has ended."""
        now = time.monotonic()
        if self.identity and self.identity.is_alive():
            if self._reload_until and now > self._reload_until:
                self.identity.signal(signal.SIGKILL)
            return
        if self.identity and not self._reload_until:
            lived = now - self._started
            self._pause = 0.0 if lived > _SETTLED_SECONDS else min(max(self._pause * 2, 0.5), _LONGEST_PAUSE_SECONDS)
            _log(f"{self.program.name} ended after {lived:.1f} s; it starts again in {self._pause} s")
            self.identity = None
            self._started = now + self._pause
        if self._reload_until or now >= self._started:
            self._start()

    def _start(self) -> None:
        identity = spawn(
            [sys.executable, *self.program.command],
            environment=self._environment,
            log=self._state.home / "logs" / f"{self.program.name}.log",
            folder=CHECKOUT,
            dies_with_parent=True,
        )
        self.identity, self._started, self._reload_until = identity, time.monotonic(), None
        self._state.change("pids", self.program.name, (identity.pid, identity.started))


def main() -> int:
    """Supervise until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    state = State(stack_home())
    (state.home / "logs").mkdir(exist_ok=True)
    whole = stack_environment(state)
    kept = [_Kept(program, state, environment_of(program, whole, os.environ)) for program in programs(state)]
    changes = _changes()
    while not stopping.wait(_POLL_SECONDS):
        _reap()
        changed = changes.to_take_up() if changes else set()
        if changed:
            _log(f"reloading: {', '.join(sorted(str(file.relative_to(CHECKOUT)) for file in changed))}")
            for one in kept:
                one.reload()
        for one in kept:
            one.look()
    running = [one.identity for one in kept if one.identity]
    for identity in running:
        identity.signal(signal.SIGTERM)
    for identity in running:
        stop(identity, seconds=_STOP_SECONDS)
    return 0


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


def _log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
