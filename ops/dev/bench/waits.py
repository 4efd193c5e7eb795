"""`python -m ops.dev.bench.waits`: the time of other requests while 100 clients wait for jobs with `?wait=20`.

The others are four clients that read their profile a hundred times a second in all. Rounds with and without waiting
clients take turns, so that a noisy machine is noisy for both. The waiting clients begin within five seconds, as clients
of a real API do not all begin at one moment, and obey `Retry-After`. They are a process of their own.
"""

import http.client
import json
import logging
import multiprocessing
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from uuid import UUID

import structlog
from rich.console import Console
from rich.table import Table

from moneyflow.accounts import users
from moneyflow.accounts.sessions import Sessions
from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings, load_all

WAITERS = 100
CLIENTS = 4
PAUSE_SECONDS = 0.04
SECONDS = 10.0
ROUNDS = 5
#: Seconds within which the waiting clients begin, before a round is measured.
BEGIN_SECONDS = 5.0
#: The p99 with waiting clients, as a multiple of the p99 without, at most.
PROMISED = 1.5
#: The optional argument is the folder for the JSON.
_FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results"
_RESULTS = _FOLDER / "waits.json"


def main() -> int:
    """Measure, print a table, write the figures as JSON; return 1 when the promise is missed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = load_all()
    token, jobs = _prepared(settings)
    p99: dict[str, list[float]] = {"without": [], "with": []}
    p50: dict[str, list[float]] = {"without": [], "with": []}
    answers: list[int] = []
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}")
        for name in ("without", "with"):
            times = _round(settings, token, jobs if name == "with" else [], answers)
            p50[name].append(times[len(times) // 2])
            p99[name].append(times[int(len(times) * 0.99)])
    return _report(p50, p99, answers)


def _prepared(settings: AllSettings) -> tuple[str, list[UUID]]:
    """Sign a user in who owns jobs, which no worker runs; return the token and the jobs."""
    database = Database(settings.conninfo("app", application_name="bench waits"), size=1)
    database.open()
    with database.transaction() as session:
        users.sign_up(session, email=f"{time.time_ns()}@mail.example", name="A Waiter", password_hash="")
        row = session.fetch_one("select id from users order by created_at desc limit 1")
        assert row is not None
        with working_for(Origin(actor_id=str(row["id"]))):
            jobs = enqueue_many(session, [Purge()] * WAITERS)
    database.close()
    sessions = Sessions(settings)
    token, _ = sessions.start(user_id=row["id"], role="user", client="bench waits")
    sessions.close()
    return token, jobs


def _round(settings: AllSettings, token: str, jobs: list[UUID], answers: list[int]) -> list[float]:
    """Return the milliseconds of the other requests, sorted, while one client waits for each of the jobs."""
    context = multiprocessing.get_context("spawn")
    stop, counted = context.Event(), context.Value("i", 0)
    waiting = context.Process(target=_wait_for_all, args=(settings.app_port, token, jobs, stop, counted))
    waiting.start()
    time.sleep(BEGIN_SECONDS + 2)
    before = counted.value
    times = _others(settings.app_port, token)
    if jobs:
        answers.append(counted.value - before)
    stop.set()
    waiting.join(30)
    return sorted(times)


def _others(port: int, token: str) -> list[float]:
    times: list[float] = []
    until = time.monotonic() + SECONDS

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < until:
            began = time.perf_counter()
            status, _ = _get(connection, "/v1/users/me", token)
            times.append((time.perf_counter() - began) * 1000)
            if status != http.client.OK:
                raise RuntimeError(f"/v1/users/me answered {status}; see the log of the API")
            time.sleep(PAUSE_SECONDS)

    _in_threads([client] * CLIENTS)
    return times


def _wait_for_all(port: int, token: str, jobs: list[UUID], stop: Event, counted: "Synchronized[int]") -> None:
    """Let one client wait for each job, again and again, until the round ends."""

    def client(job_id: UUID) -> None:
        stop.wait(random.uniform(0, BEGIN_SECONDS))  # noqa: S311 - no secret
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not stop.is_set():
            began = time.monotonic()
            _, retry_after = _get(connection, f"/v1/jobs/{job_id}?wait=20", token)
            with counted.get_lock():
                counted.value += 1
            if time.monotonic() - began < 1:
                connection.close()  # Longer than the API keeps an idle one.
                stop.wait(retry_after)

    threads = [threading.Thread(target=client, args=(job_id,), daemon=True) for job_id in jobs]
    for thread in threads:
        thread.start()
    stop.wait()  # Those that wait at this moment end with the process.


def _get(connection: http.client.HTTPConnection, path: str, token: str) -> tuple[int, int]:
    """Return the status and the seconds of `Retry-After`."""
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, int(answer.headers.get("Retry-After", "0"))


def _in_threads(clients: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(clients)) as pool:
        for future in [pool.submit(client) for client in clients]:
            future.result()


def _report(p50: dict[str, list[float]], p99: dict[str, list[float]], answers: list[int]) -> int:
    table = Table("waiting clients", "p50 ms", "p99 ms", "p99 of each round", title=f"{ROUNDS} rounds in turn; medians")
    result: dict[str, object] = {
        "waiters": WAITERS,
        "answers_to_waiters_per_second": statistics.median(answers) / SECONDS,
    }
    for name, label in (("without", "none"), ("with", str(WAITERS))):
        middle = {"p50_ms": round(statistics.median(p50[name]), 2), "p99_ms": round(statistics.median(p99[name]), 2)}
        result[name] = {**middle, "p99_ms_of_rounds": [round(value, 2) for value in p99[name]]}
        rounds = " ".join(f"{value:.1f}" for value in p99[name])
        table.add_row(label, *(f"{value:.2f}" for value in middle.values()), rounds)
    ratio = statistics.median(p99["with"]) / statistics.median(p99["without"])
    result["p99_ratio"] = round(ratio, 2)
    console = Console()
    console.print(table)
    console.print(f"p99 with / without: {ratio:.2f}, promised at most {PROMISED}")
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if ratio <= PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
