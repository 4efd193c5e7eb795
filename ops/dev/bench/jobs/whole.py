"""Other benchmarks: the replay of failed jobs, the relay's wake-up, the latency of a sign-up, waiting requests."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

from moneyflow.platform.brokers import kafka
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import Identity, stop, wait_until
from ops.dev.stack.servers import Kafka, Mail

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
#: The arguments of `python -m`, and the setting with the port of `/readyz`.
_PROCESSES = (
    (("gunicorn", "--config", "python:api.server"), "API_METRICS_PORT"),
    (("workers.relay",), "RELAY_METRICS_PORT"),
    (("workers",), "WORKER_METRICS_PORT"),
    (("consumers", "audit"), "CONSUMER_METRICS_PORT"),
)


def replay(_: Testbed, __: Path) -> None:
    """Measure the grouping and replay of 100,000 failed jobs, on servers of their own."""
    subprocess.run([sys.executable, "-m", "ops.dev.bench.replay"], cwd=CHECKOUT, check=False)


def wake(testbed: Testbed, results: Path) -> None:
    """Measure the ways to wake the relay."""
    _measure(testbed, "wake", results)


def journey(testbed: Testbed, results: Path) -> None:
    """Start the servers and processes that are missing, and measure the latency of sign-ups."""
    more = Kafka(testbed.state), Mail(testbed.state)
    testbed.servers += more
    testbed.start(*more)
    asyncio.run(kafka.create_topics(testbed.settings))
    ports = {setting: str(free_port()) for setting in ("APP_PORT", *(setting for _, setting in _PROCESSES))}
    started = [testbed.spawn(*command, environment=ports) for command, _ in _PROCESSES]
    try:
        for (command, setting), process in zip(_PROCESSES, started, strict=True):
            if not wait_until(lambda: _is_ready(process, ports[setting]), seconds=_READY_SECONDS):  # noqa: B023
                raise BenchError(f"{' '.join(command)} was not ready within {_READY_SECONDS:.0f} seconds")
        _measure(testbed, "journey", results, APP_PORT=ports["APP_PORT"])
    finally:
        for process in reversed(started):
            stop(process, seconds=_STOP_SECONDS)


def waits(testbed: Testbed, results: Path) -> None:
    """Start the API, and measure its requests while many clients wait for jobs."""
    (command, health), *_ = _PROCESSES
    ports = {setting: str(free_port()) for setting in ("APP_PORT", health)}
    api = testbed.spawn(*command, environment=ports)
    try:
        if not wait_until(lambda: _is_ready(api, ports[health]), seconds=_READY_SECONDS):
            raise BenchError(f"the API was not ready within {_READY_SECONDS:.0f} seconds")
        _measure(testbed, "waits", results, APP_PORT=ports["APP_PORT"])
    finally:
        stop(api, seconds=_STOP_SECONDS)


def _measure(testbed: Testbed, name: str, results: Path, **environment: str) -> None:
    command = [sys.executable, "-m", f"ops.dev.bench.{name}", str(results)]
    subprocess.run(command, env=testbed.environment | environment, cwd=CHECKOUT, check=False)


def _is_ready(process: Identity, port: str) -> bool:
    if not process.is_alive():
        raise BenchError("a process ended while it started")
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
