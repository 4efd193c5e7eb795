"""An API that is killed under write load: every request that it answered with success is in the database."""

import random
import signal
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

_CLIENTS = 8


@dataclass
class Writers:
    """Clients that sign people up without a pause, whatever happens to the API."""

    url: str
    #: The address of each person whose sign-up was answered with success, and the id of its job.
    accepted: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        """Sign up until stopped."""
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            while not self.stopping.is_set():
                email = f"{uuid.uuid4().hex}@crash.example"
                person = {"email": email, "name": "Ada", "password": "correct horse battery"}
                try:
                    answer = client.post("/v1/users", json=person)
                except httpx.HTTPError:
                    self.broken += 1
                    self.stopping.wait(0.05)
                    continue
                if answer.is_success:
                    self.accepted[email] = answer.json()["job_id"]

    def progress(self) -> None:
        """Wait until more people have signed up."""
        enough = len(self.accepted) + 20
        eventually(lambda: len(self.accepted) >= enough, seconds=120, what="sign-ups are answered")


def _kill_one(api: Process) -> None:
    """Kill one process of the API, chosen at random; gunicorn starts another."""
    assert api.popen
    with suppress(psutil.NoSuchProcess):
        random.SystemRandom().choice(psutil.Process(api.popen.pid).children()).send_signal(signal.SIGKILL)


def _missing(database: Database, accepted: dict[str, str]) -> set[str]:
    """Return the accepted addresses that have no row, and those whose job has none."""
    with database.transaction() as session:
        people = {row["email"] for row in session.fetch_all("select email from users")}
        jobs = {str(row["id"]) for row in session.fetch_all("select id from jobs")}
    return {email for email, job_id in accepted.items() if email not in people or job_id not in jobs}


def test_every_answer_of_success_of_an_api_that_is_killed_under_load_is_in_the_database(
    platform: AllSettings, processes: Processes, database: Database, pytestconfig: pytest.Config
) -> None:
    assert platform
    api = processes.api(API_PROCESSES="2", API_THREADS="16", API_LIMITS_FACTOR="10000")
    writers = Writers(f"http://127.0.0.1:{api.port}")

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for _ in range(_CLIENTS):
            pool.submit(writers.write)
        try:
            for _ in range(pytestconfig.getoption("--api-kills")):
                writers.progress()
                _kill_one(api)
                writers.progress()
                api.kill_all()
                api.start()
            writers.progress()
        finally:
            writers.stopping.set()

    assert writers.broken > 0, "the kills hit requests"
    assert _missing(database, writers.accepted) == set()
