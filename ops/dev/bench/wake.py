"""`python -m ops.dev.bench.wake`: ways to notify of a commit: NOTIFY, a Redis publish, and the product's own.

Measures the cost of each for the clients that commit (one insert in a transaction, 16 clients) and the time until a
listener is notified. `redis, with ids` is the product's own: the same round trip pushes the id of the ready job onto a
list, and the listener is a worker that pops it. The variants take turns in each round, so that a noisy machine is noisy
for all of them.
"""

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import redis
from rich.console import Console
from rich.table import Table

from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.brokers.ready_list import ReadyList
from moneyflow.platform.brokers.redis import PREFIX, connect
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings, load_all

CLIENTS = 16
SECONDS = 2.0
ROUNDS = 5
LATENCIES = 300
_CHANNEL = "bench_wake"
#: The optional argument is the folder for the JSON.
_FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results"
_RESULTS = _FOLDER / "wake.json"

Commit = Callable[[psycopg.Connection[tuple[object, ...]], redis.Redis], None]


def commit_alone(connection: psycopg.Connection[tuple[object, ...]], _: redis.Redis) -> None:
    """Commit one row without a notification: the relay polls."""
    connection.execute("insert into bench_wake default values")
    connection.commit()


def commit_and_notify(connection: psycopg.Connection[tuple[object, ...]], _: redis.Redis) -> None:
    """Commit one row with a NOTIFY in the transaction."""
    connection.execute("insert into bench_wake default values")
    connection.execute(f"notify {_CHANNEL}")
    connection.commit()


def commit_and_publish(connection: psycopg.Connection[tuple[object, ...]], client: redis.Redis) -> None:
    """Commit one row, then publish to Redis."""
    connection.execute("insert into bench_wake default values")
    connection.commit()
    client.publish(PREFIX + _CHANNEL, b"1")


def commit_and_push(notifier: Notifier) -> Commit:
    """Commit one row, then notify as the product does after a commit with one ready job."""

    def commit(connection: psycopg.Connection[tuple[object, ...]], _: redis.Redis) -> None:
        connection.execute("insert into bench_wake default values")
        connection.commit()
        notifier(["ready"], [(5, new_id())])

    return commit


VARIANTS: dict[str, Commit] = {
    "poll only": commit_alone,
    "notify": commit_and_notify,
    "redis": commit_and_publish,
}


def commits_per_second(settings: AllSettings, commit: Commit) -> float:
    """Let all clients commit for two seconds; return the commits per second."""
    counts = [0] * CLIENTS
    start = threading.Barrier(CLIENTS + 1)
    stop = threading.Event()

    def client(number: int) -> None:
        with psycopg.connect(_owner(settings)) as connection, connect(settings) as redis_client:
            start.wait()
            while not stop.is_set():
                commit(connection, redis_client)
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    start.wait()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def notify_latencies(settings: AllSettings) -> list[float]:
    """Return the milliseconds from the end of a commit to the listener's wake, by NOTIFY."""
    with psycopg.connect(_owner(settings), autocommit=True) as listener:
        listener.execute(f"listen {_CHANNEL}")
        return _latencies(settings, commit_and_notify, lambda: next(listener.notifies(timeout=5)))


def redis_latencies(settings: AllSettings) -> list[float]:
    """Return the milliseconds from the end of a commit to the listener's wake, by Redis."""
    with connect(settings) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(PREFIX + _CHANNEL)
        subscription.get_message(timeout=5)
        return _latencies(settings, commit_and_publish, lambda: subscription.get_message(timeout=5))


def ready_latencies(settings: AllSettings) -> list[float]:
    """Return the milliseconds from the end of a commit until a worker has the id of its job."""
    ready = ReadyList(settings)
    while ready.take([5], most=1000, wait_seconds=0.1):
        pass
    receive = partial(ready.take, [5], most=1, wait_seconds=5)
    return _latencies(settings, commit_and_push(Notifier(settings)), receive)


def _latencies(settings: AllSettings, commit: Commit, receive: Callable[[], object]) -> list[float]:
    """Commit one by one; a listener in a thread of its own records when it is notified."""
    moments: list[float] = []
    woken = threading.Event()

    def listen() -> None:
        for _ in range(LATENCIES):
            receive()
            moments.append(time.perf_counter())
            woken.set()

    thread = threading.Thread(target=listen)
    thread.start()
    begun = []
    with psycopg.connect(_owner(settings)) as connection, connect(settings) as client:
        for _ in range(LATENCIES):
            woken.clear()
            begun.append(time.perf_counter())
            commit(connection, client)
            woken.wait(5)
    thread.join()
    return [(end - begin) * 1000 for begin, end in zip(begun, moments, strict=True)]


def _owner(settings: AllSettings) -> str:
    return settings.conninfo("owner", application_name="bench wake")


def main() -> int:
    """Measure, print a table, and write the figures as JSON."""
    settings = load_all()
    console = Console()
    with psycopg.connect(_owner(settings), autocommit=True) as connection:
        connection.execute("drop table if exists bench_wake")
        connection.execute(
            "create table bench_wake (id bigint generated always as identity, at timestamptz default now())"
        )
        variants = VARIANTS | {"redis, with ids": commit_and_push(Notifier(settings))}
        rates: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(ROUNDS):
            console.print(f"round {number + 1} of {ROUNDS}")
            for name, commit in variants.items():
                rates[name].append(commits_per_second(settings, commit))
        latencies = {
            "notify": notify_latencies(settings),
            "redis": redis_latencies(settings),
            "redis, with ids": ready_latencies(settings),
        }
        connection.execute("drop table bench_wake")
    _report(console, rates, latencies)
    return 0


def _report(console: Console, rates: dict[str, list[float]], latencies: dict[str, list[float]]) -> None:
    table = Table(title=f"{CLIENTS} clients, one insert a commit; median of {ROUNDS} rounds in turn")
    for column in ("wake-up", "commits/s", "of poll only", "commit to notified, p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    result = {}
    base = statistics.median(rates["poll only"])
    for name, values in rates.items():
        rate, waits = statistics.median(values), sorted(latencies.get(name, []))
        p50, p99 = (waits[len(waits) // 2], waits[int(len(waits) * 0.99)]) if waits else (None, None)
        result[name] = {"commits_per_second": rate, "ratio": rate / base, "p50_ms": p50, "p99_ms": p99}
        table.add_row(
            name, f"{rate:.0f}", f"{rate / base:.2f}", *("-" if p is None else f"{p:.2f}" for p in (p50, p99))
        )
    console.print(table)
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
