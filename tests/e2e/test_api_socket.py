"""The API's socket stays open while its processes are replaced: no connection refused, none cut, no request lost."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from ops.dev.stack.home import State
from tests.support import retries
from tests.support.checkout import copy_of_checkout
from tests.support.processes import Processes, free_port
from tests.support.waiting import eventually

#: Two keep their connection, and two open one for each request.
_CLIENTS = 4
_PAUSE_SECONDS = 0.2
#: Some kernels let no other user drop SYNs.
_ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="only root may drop SYNs")
#: As in the image.
_GUNICORN = (str(Path(sys.executable).parent / "gunicorn"), "--config", "python:api.server")


@dataclass
class Clients:
    """Clients that sign people up again and again, and what they were answered.

    With several replicas they do what a balancer does: a request whose connection is refused goes to the next one.
    """

    replicas: list[str]
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def run(self, *, keeps: bool) -> None:
        """Sign up until stopped, with a pause as people have: without one, clients take the API's processor time."""
        headers = {} if keeps else {"Connection": "close"}
        turns = itertools.count()
        with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
            while not self._stopping.wait(_PAUSE_SECONDS):
                email = f"{uuid.uuid4().hex}@open.example"
                person = {"email": email, "name": "Ada", "password": "correct horse battery"}
                try:
                    answer = self._post(client, person, next(turns))
                except httpx.HTTPError as error:
                    self.refused.append(repr(error))
                    continue
                if answer.status_code == 202:
                    self.accepted.append(email)
                else:
                    self.refused.append(answer.text)

    def _post(self, client: httpx.Client, person: dict[str, str], turn: int) -> httpx.Response:
        first = turn % len(self.replicas)
        *others, last = self.replicas[first:] + self.replicas[:first]
        for replica in others:
            with suppress(httpx.ConnectError):
                return retries.post(client, f"{replica}/v1/users", json=person)
        return retries.post(client, f"{last}/v1/users", json=person)

    def progress(self, more: int = 10) -> None:
        """Wait until that many more requests were answered, so that each part of a replacement is under load."""
        enough = len(self.accepted) + more
        eventually(lambda: self.refused or len(self.accepted) >= enough, seconds=120, what="requests are answered")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Send requests during the block."""
        self._threads += [threading.Thread(target=self.run, kwargs={"keeps": bool(n % 2)}) for n in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()
        try:
            self.progress()
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Wait for the last answers; safe to repeat."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def _unknown(database: Database, accepted: list[str]) -> set[str]:
    """Return the accepted addresses that have no row."""
    with database.transaction() as session:
        rows = session.fetch_all("select email from users")
    return set(accepted) - {row["email"] for row in rows}


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_ready(port: int | None) -> bool:
    try:
        return (
            port is not None
            and httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, verify=False, timeout=5).is_success
        )
    except httpx.HTTPError:
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of this checkout that a test may change."""
    return copy_of_checkout(tmp_path / "checkout")


@pytest.fixture
def replacements(pytestconfig: pytest.Config) -> int:
    """Return how often the API is replaced."""
    count: int = pytestconfig.getoption("--replacements")
    return count


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(checkout: Path, environment: dict[str, str], platform: AllSettings, tmp_path: Path) -> Iterator[Start]:
    """Return what starts a process of the checkout; it is stopped with the test."""
    assert platform, "its database is migrated"
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, **settings: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / "process.log").open("ab") as output:
            process = subprocess.Popen(
                command, cwd=checkout, stdout=output, stderr=output,
                env=os.environ | environment | settings | {"PYTHONPATH": str(checkout)},
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _change(checkout: Path, number: int) -> None:
    """Change a source file of the product, as a developer does."""
    changed = checkout / "api" / "answers.py"
    changed.write_text(changed.read_text(encoding="utf-8") + f"\n# Change {number}.\n", encoding="utf-8")


@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_without_docker_reloads_restarts_and_new_settings_refuse_cut_and_lose_nothing(
    start: Start, checkout: Path, database: Database, replacements: int
) -> None:
    supervisor = start(sys.executable, "-m", "ops.dev.stack.supervisor")
    try:
        eventually((checkout / ".stack").exists, what="the supervisor begins")
        state = State(checkout / ".stack")
        eventually(lambda: _is_ready(state.value("ports", "api")), seconds=90, what="the API is ready")
        clients = Clients([f"http://127.0.0.1:{state.value('ports', 'api')}"])
        pids = []

        def replaced(by: Callable[[], object]) -> None:
            pids.append(state.value("pids", "api"))
            by()
            eventually(lambda: state.value("pids", "api") not in pids, seconds=120, what="the API is replaced")
            old = pids[-1][0]
            eventually(lambda: not psutil.pid_exists(old), seconds=120, what="the process before it has ended")
            clients.progress()

        with clients.busy():
            for number in range(replacements):
                replaced(lambda: _change(checkout, number))  # noqa: B023
            replaced(lambda: os.kill(state.value("pids", "api")[0], signal.SIGTERM))
            (checkout / ".env").write_text("API_THREADS=6\n", encoding="utf-8")
            replaced(lambda: supervisor.send_signal(signal.SIGHUP))

        assert clients.refused == []
        assert _unknown(database, clients.accepted) == set()
        assert supervisor.poll() is None
    finally:
        subprocess.run([sys.executable, "-m", "ops.dev.stack", "reset"], cwd=checkout, capture_output=True, check=True)


@pytest.mark.timeout(600)
def test_in_a_container_reloads_refuse_cut_and_lose_nothing_and_a_broken_source_keeps_the_old_process(
    start: Start, checkout: Path, database: Database, tmp_path: Path, replacements: int
) -> None:
    port, log = free_port(), tmp_path / "process.log"
    reloaded = start(
        sys.executable, "-m", "ops.dev.stack.reload", *_GUNICORN, APP_PORT=str(port), API_METRICS_PORT=str(free_port())
    )
    eventually(lambda: _is_ready(port), seconds=90, what="the API is ready")
    clients = Clients([f"http://127.0.0.1:{port}"])

    def masters() -> set[int]:
        return {child.pid for child in psutil.Process(reloaded.pid).children()}

    with clients.busy():
        for number in range(replacements):
            before = masters()
            _change(checkout, number)
            eventually(lambda: masters().isdisjoint(before), seconds=120, what="the API is replaced")  # noqa: B023
            clients.progress()
        before = masters()
        source = checkout / "api" / "app.py"
        source.write_text(source.read_text(encoding="utf-8") + "\nimport nowhere\n", encoding="utf-8")
        eventually(lambda: "was not ready" in log.read_text(), seconds=120, what="the failed start is logged")
        clients.progress()
        eventually(lambda: masters() == before, seconds=120, what="only the old process is left")

    assert clients.refused == []
    assert _unknown(database, clients.accepted) == set()


@_ROOT_ALONE
@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_a_rolling_deploy_of_two_replicas_cuts_and_loses_nothing(
    platform: AllSettings, processes: Processes, database: Database, replacements: int
) -> None:
    assert platform
    replicas = [processes.api(), processes.api()]
    clients = Clients([f"http://127.0.0.1:{replica.port}" for replica in replicas])

    with clients.busy():
        for _ in range(replacements):
            for replica in replicas:
                assert replica.stop(60) == 0
                clients.progress()
                replica.start()
                clients.progress()

    assert clients.refused == []
    assert _unknown(database, clients.accepted) == set()


@pytest.mark.timeout(600)
def test_a_gunicorn_that_is_replaced_by_its_own_successor_refuses_cuts_and_loses_nothing(
    start: Start, database: Database
) -> None:
    port = free_port()
    master = psutil.Process(start(*_GUNICORN, APP_PORT=str(port), API_METRICS_PORT=str(free_port())).pid)
    eventually(lambda: _is_ready(port), seconds=90, what="the API is ready")
    clients = Clients([f"http://127.0.0.1:{port}"])

    with clients.busy():
        before = set(master.children())
        master.send_signal(signal.SIGUSR2)
        (successor,) = eventually(lambda: set(master.children()) - before, seconds=120, what="the successor runs")
        try:
            eventually(successor.children, seconds=120, what="its processes run")
            clients.progress()
            master.terminate()
            eventually(lambda: _has_ended(master), seconds=60, what="the old master has ended")
            clients.progress()
            metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=30)
        finally:
            clients.stop()
            successor.terminate()
            eventually(lambda: _has_ended(successor), seconds=60, what="the successor has ended")

    assert clients.refused == []
    assert _unknown(database, clients.accepted) == set()
    assert 'moneyflow_http_requests_total{method="POST",route="/v1/users",status="202"}' in metrics.text
