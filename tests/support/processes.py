"""The product's real processes, started for a test with the test's environment and stopped by pid whatever happens."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from ops.dev.stack.ports import is_free
from tests.support.forks import Fork
from tests.support.waiting import eventually

_ROOT = Path(__file__).parent.parent.parent


#: For a worker that is to get its jobs by RabbitMQ alone: with Redis it takes most by their ids, without a message.
BY_MESSAGES: dict[str, Any] = {"REDIS_PORT": "1"}

#: Below those of servers and of outgoing connections; each of the test processes that run side by side has its own, so
#: that none takes the port of a process that another one starts or restarts at the moment.
_FIRST_PORT = 10_000 + 500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20)
_PORTS = range(_FIRST_PORT, _FIRST_PORT + 500)
_ports = itertools.count(random.SystemRandom().choice(_PORTS))


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    return next(port for number in _ports if is_free(port := _PORTS[number % len(_PORTS)]))


@dataclass
class Process:
    """One process of the product, ready to work. `port` is where it answers its health checks."""

    command: tuple[str, ...]
    environment: dict[str, str]
    port: int
    log_path: Path
    #: What is not of the product imports nothing of it.
    is_forked: bool = True
    popen: "subprocess.Popen[bytes] | Fork | None" = None

    def start(self, *, wait_ready: bool = True) -> Self:
        """Start it and, unless `wait_ready` is false, wait until it is ready."""
        self.launch()
        if wait_ready:
            eventually(self.is_ready, what=f"{self.command} ready; its log:\n{self.log_path}")
        return self

    def launch(self) -> None:
        """Start it and wait for nothing."""
        if self.is_forked:
            self.popen = Fork(
                *self.command[1:],
                environment=self.environment,
                folder=_ROOT,
                output=self.log_path,
                errors=self.log_path,
            )
            return
        with self.log_path.open("ab") as log:
            command = [sys.executable, *self.command]
            self.popen = subprocess.Popen(command, env=self.environment, cwd=_ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it as a crash would, and wait until it has ended."""
        self.signal(signal.SIGKILL)
        self._popen.wait(10)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended gets none, because another process may have its pid by now."""
        self._popen.send_signal(number)

    def signal_all(self, number: int) -> None:
        """Send a signal to it and to all that it has started, as gunicorn its workers."""
        for child in self.children():
            with suppress(psutil.NoSuchProcess):
                child.send_signal(number)
        self.signal(signal.Signals(number))

    def kill_all(self) -> None:
        """Kill it and all that it has started at one time, as the crash of a machine would."""
        children = self.children()
        self.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=10)

    def stop(self, seconds: float = 30) -> int:
        """Ask it to stop and return its exit code; one that does not within `seconds` is killed and fails the test."""
        if self._popen.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
        return self._popen.wait(seconds)

    def wait(self, seconds: float = 30) -> int:
        """Wait until it has ended by itself."""
        return self._popen.wait(seconds)

    def is_running(self) -> bool:
        """Say whether it still runs."""
        return self.popen is not None and self.popen.poll() is None

    def exit_code(self) -> int | None:
        """Return how it has ended, or None."""
        return self._popen.poll()

    def log(self) -> str:
        """Return all that it has logged."""
        return self.log_path.read_text(errors="replace")

    def get(self, path: str) -> httpx.Response:
        """Ask its health port."""
        host = "[::1]" if self.environment.get("BIND_HOST") == "::1" else "127.0.0.1"
        return httpx.get(f"http://{host}:{self.port}{path}", timeout=10, trust_env=False, verify=False)

    def health(self, path: str) -> httpx.Response:
        """Ask the API's own health port."""
        port = self.environment["API_METRICS_PORT"]
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False, verify=False)

    def says(self, path: str, text: str) -> bool:
        """Say whether it answers, and with that text in it."""
        try:
            return text in self.get(path).text
        except httpx.HTTPError:
            return False

    def is_ready(self) -> bool:
        """Say whether it is ready to work; fail when it has ended."""
        if self._popen.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self._popen.returncode}:\n{self.log()[-4000:]}")
        return self.says("/readyz", '"ok":true')

    def children(self) -> list[psutil.Process]:
        """Return the processes that it has started, and theirs."""
        try:
            return psutil.Process(self._popen.pid).children(recursive=True) if self.is_running() else []
        except psutil.NoSuchProcess:
            return []

    @property
    def _popen(self) -> "subprocess.Popen[bytes] | Fork":
        assert self.popen is not None, "not started"
        return self.popen


class PlainProcess(Process):
    """A process without health checks: ready as long as it runs."""

    def is_ready(self) -> bool:
        return self.is_running()

    def says(self, _path: str, _text: str) -> bool:
        return self.is_running()


class Processes:
    """Starts processes and stops all of them at the end of the test."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = os.environ | environment | {"PYTHONPATH": str(_ROOT), "BIND_HOST": "127.0.0.1"}
        self._folder = folder
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in reversed(self._started):
            if process.is_running():
                process.signal_all(signal.SIGKILL)  # A clean stop takes its time, and has tests of its own.
        deadline = time.monotonic() + 20
        for process in self._started:
            try:
                assert process.popen is not None
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def all(self) -> tuple[Process, ...]:
        """Return every process of the test, those that have ended too."""
        return tuple(self._started)

    def worker(self, *, sabotage: str = "nothing", wait_ready: bool = True, **environment: str) -> Process:
        """Start a worker; `sabotage` names a function of tests/support/sabotage.py that is called in it first."""
        return self._start("workers", "WORKER_METRICS_PORT", sabotage, environment, wait_ready=wait_ready)

    def relay(self, *, sabotage: str = "nothing", wait_ready: bool = True, **environment: str) -> Process:
        """Start a relay."""
        return self._start("workers.relay", "RELAY_METRICS_PORT", sabotage, environment, wait_ready=wait_ready)

    def consumer(self, sink: str, *, sabotage: str = "nothing", wait_ready: bool = True, **environment: str) -> Process:
        """Start the consumer of a sink."""
        return self._start("consumers", "CONSUMER_METRICS_PORT", sabotage, environment, sink, wait_ready=wait_ready)

    def api(self, *options: str, sabotage: str = "nothing", wait_ready: bool = True, **environment: str) -> Process:
        """Start the API under gunicorn, with more of its options."""
        arguments = ("--config", "python:api.server", *options)
        environment = {"API_METRICS_PORT": str(free_port())} | environment
        return self._start("gunicorn", "APP_PORT", sabotage, environment, *arguments, wait_ready=wait_ready)

    def plain(self, *command: str, **environment: str) -> Process:
        """Start a process that is not of the product and has no health checks."""
        return self._begin(command, environment, 0, wait_ready=False, kind=PlainProcess)

    def _start(
        self,
        module: str,
        port_name: str,
        sabotage: str,
        environment: dict[str, str],
        *arguments: str,
        wait_ready: bool = True,
    ) -> Process:
        port = free_port()
        command = ("-m", "tests.support.sabotage", sabotage, module, *arguments)
        return self._begin(command, environment | {port_name: str(port)}, port, wait_ready=wait_ready, is_forked=True)

    def _begin(
        self,
        command: tuple[str, ...],
        environment: dict[str, str],
        port: int,
        *,
        wait_ready: bool = True,
        kind: type[Process] = Process,
        is_forked: bool = False,
    ) -> Process:
        name = "-".join(command[2:]).replace(".", "-").replace("/", "-")[:60]
        log_path = self._folder / f"{len(self._started)}-{name}.log"
        process = kind(command, self._environment | environment, port, log_path, is_forked)
        self._started.append(process)
        return process.start(wait_ready=wait_ready)
