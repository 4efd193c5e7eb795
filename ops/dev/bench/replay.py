"""`python -m ops.dev.bench.replay`: the seconds to group 100,000 failed jobs, and to replay all of them.

It runs on servers of its own, with a relay and no worker. It measures the operators' command from its start to its
exit, with the dead letters removed from `jobs_failed`, and the time until all jobs are on `jobs` again. It also
measures the grouping alone, without the start of Python and its imports.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import psycopg
from rich.console import Console
from rich.table import Table

from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE, JOBS_QUEUE, connection_parameters
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.failed import groups
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.queries import load_queries
from moneyflow.settings import AllSettings, load_all
from ops.dev.stack.home import State
from ops.dev.stack.servers import Postgres, RabbitMQ
from ops.migrate import declare_queues, upgrade_schema

JOBS = 100_000
GROUPINGS = 5
_GROUP_SECONDS, _REPLAY_SECONDS = 1.0, 60.0
_LONGEST_SECONDS = 300.0
_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_RESULTS = Path(__file__).parent / "results" / "replay.json"
_ROOT = Path(__file__).parents[3]


@contextmanager
def running_servers() -> Iterator[dict[str, str]]:
    """Run PostgreSQL and RabbitMQ for the block; yield the environment with their addresses."""
    folder = Path(tempfile.mkdtemp(prefix="money-flow-bench-replay-", dir="/var/tmp"))
    servers = (Postgres(State(folder)), RabbitMQ(State(folder)))
    try:
        for server in servers:
            server.start()
        environment = {"BUILD_ENV": "dev", "SECRET_KEY": "a key for a benchmark, of more than 32 characters"}
        for server in servers:
            server.wait_ready()
            environment |= server.settings()
        yield environment | {"REDIS_PORT": "1", "KAFKA_PORT": "1", "BIND_HOST": "127.0.0.1", "LOG_LEVEL": "error"}
    finally:
        for server in servers:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def relay(environment: dict[str, str]) -> Iterator[None]:
    """Run the relay for the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.relay"], env=_with(environment), cwd=_ROOT, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def command(environment: dict[str, str], *arguments: str) -> tuple[float, dict[str, object]]:
    """Run `moneyflow` and return its seconds, from start to exit, and its answer."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments, "--json"],
        env=_with(environment), cwd=_ROOT, capture_output=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"moneyflow {' '.join(arguments)} failed:\n{done.stderr.decode()}")
    answer: dict[str, object] = json.loads(done.stdout)
    return seconds, answer


def measure(environment: dict[str, str], console: Console) -> dict[str, object]:
    """Insert failed jobs, group them, replay them."""
    settings = load_all(environment)
    upgrade_schema(settings)
    declare_queues(settings)
    with relay(environment), psycopg.connect(_owner(settings), autocommit=True) as connection:
        console.print(f"inserting {JOBS} failed jobs, with their dead letters on {FAILED_QUEUE} …")
        connection.execute(_QUERIES["fail"], {"jobs": JOBS})
        connection.execute("vacuum analyze jobs")
        _until(lambda: depth(settings, FAILED_QUEUE) == JOBS)
        console.print("grouping …")
        grouped = [command(environment, "failed", "groups") for _ in range(GROUPINGS)]
        answered = [answer_seconds(settings) for _ in range(GROUPINGS)]
        console.print("replaying …")
        began = time.perf_counter()
        seconds, report = command(environment, "failed", "replay", "--all", "--yes", "--reason", "a benchmark")
        _until(lambda: depth(settings, JOBS_QUEUE) == JOBS)
        published = time.perf_counter() - began
        left = depth(settings, FAILED_QUEUE)
    return {
        "jobs": JOBS,
        "groups": grouped[0][1]["in_groups"],
        "group_seconds": round(statistics.median(answered), 2),
        "group_command_seconds": round(statistics.median(taken for taken, _ in grouped), 2),
        "replay_seconds": round(seconds, 1),
        "all_on_jobs_seconds": round(published, 1),
        "results": report["results"],
        "dead_letters_left": left,
    }


def answer_seconds(settings: AllSettings) -> float:
    """Return the seconds of the grouping alone, on an open connection."""
    database = Database(settings.conninfo("operator", application_name="bench"), size=1)
    database.open()
    try:
        with database.transaction() as session:
            session.execute("select 1")
            began = time.perf_counter()
            groups.groups(session, Filter())
            return time.perf_counter() - began
    finally:
        database.close()


def depth(settings: AllSettings, queue: str) -> int:
    """Return the number of ready messages in a queue."""
    connection = pika.BlockingConnection(connection_parameters(settings, login="operator", name="bench"))
    try:
        count: int = connection.channel().queue_declare(queue, passive=True).method.message_count
    finally:
        connection.close()
    return count


def main() -> int:
    """Measure, print a table, write the figures as JSON; return 1 when a promised figure is missed."""
    console = Console()
    with running_servers() as environment:
        found = measure(environment, console)
    table = Table("of 100,000 failed jobs", "seconds", "promised")
    table.add_row("grouped, the query alone", f"{found['group_seconds']}", f"≤ {_GROUP_SECONDS:g}")
    table.add_row("grouped, the command with Python's start", f"{found['group_command_seconds']}", "")
    table.add_row("replayed, the command", f"{found['replay_seconds']}", f"≤ {_REPLAY_SECONDS:g}")
    table.add_row("replayed, until all are on jobs", f"{found['all_on_jobs_seconds']}", f"≤ {_REPLAY_SECONDS:g}")
    console.print(table)
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    kept = found["results"] == {"replayed": JOBS} and found["dead_letters_left"] == 0
    in_time = float(str(found["all_on_jobs_seconds"])) <= _REPLAY_SECONDS
    return 0 if kept and in_time and float(str(found["group_seconds"])) <= _GROUP_SECONDS else 1


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + _LONGEST_SECONDS
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"the queue did not reach its depth within {_LONGEST_SECONDS} seconds")
        time.sleep(0.1)


def _owner(settings: AllSettings) -> str:
    return settings.conninfo("owner", application_name="bench replay")


def _with(environment: dict[str, str]) -> dict[str, str]:
    return os.environ | environment | {"PYTHONPATH": str(_ROOT)}


if __name__ == "__main__":
    sys.exit(main())
