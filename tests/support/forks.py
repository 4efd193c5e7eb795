"""Python processes forked from one that has imported the product already, and has done nothing else.

A start takes a tenth of the processor time of a fresh interpreter, and the tests start many hundred processes. Each is
a process of its own all the same, with its own pid, environment and output; that the product starts from nothing too is
held by the tests of the stack, of its socket and of its reloading.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path

from ops.dev.stack.processes import Identity, identify

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.preloaded"])
_IMPORTED_BY_THE_API = frozenset(
    {"api", "consumers", "mail_templates", "moneyflow", "ops", "prometheus_client", "tests", "workers"}
)
#: The first caller that asks for an exit code takes it off a pipe; threads of a test may ask at the same time.
_asking = threading.Lock()


class Fork:
    """A process that runs a module as `python -m` does, with as much of `Popen` as tests use."""

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str], folder: Path, output: Path, errors: Path
    ) -> None:
        self.args = (module, *arguments)
        self._process = _context.Process(
            target=_become, args=(self.args, dict(environment), str(folder), str(output), str(errors)), daemon=True
        )
        with _asking:
            self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self._identity: Identity | None = identify(self.pid)

    @property
    def returncode(self) -> int | None:
        """Return how it has ended, or None."""
        return self.poll()

    def poll(self) -> int | None:
        """Return how it has ended, or None."""
        with _asking:
            return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it has ended."""
        connection.wait([self._process.sentinel], seconds)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), seconds or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none, for its pid may be another's by now."""
        if self.poll() is None and self._identity and self._identity.is_alive():
            os.kill(self.pid, number)


def _forget_the_product() -> None:
    """Let the API import the product itself: it says where to keep metrics before anything imports their library."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _IMPORTED_BY_THE_API]:
        del sys.modules[name]


def _become(arguments: Sequence[str], environment: Mapping[str, str], folder: str, output: str, errors: str) -> None:
    """Make the fork `python -m MODULE …`."""
    # A test run in the background of a shell ignores it, and so would its forks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for path, number in ((os.devnull, 0), (output, 1), (errors, 2)):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if "gunicorn" in arguments:
        _forget_the_product()
    sys.argv = list(arguments)
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # A process of `multiprocessing` ends without them.
