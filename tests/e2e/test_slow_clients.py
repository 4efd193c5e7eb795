"""Slow clients take no thread of the API, and are closed in time, whatever they send."""

import json
import re
import resource
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import psutil
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes
from tests.support.slow_clients import SlowClients
from tests.support.waiting import eventually


@pytest.fixture
def api(platform: AllSettings, processes: Processes) -> Process:
    """Start the API with few threads."""
    assert platform
    return processes.api(API_PROCESSES="2", API_THREADS="4")


@pytest.fixture
def client(api: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=30, trust_env=False) as client:
        yield client


def _sign_up(client: httpx.Client) -> int:
    person = {"email": f"{uuid.uuid4().hex}@slow.example", "name": "Ada", "password": "correct horse battery"}
    return client.post("/v1/users", json=person).status_code


@pytest.mark.parametrize("count", [20, 200])
def test_slow_sockets_are_closed_within_ten_seconds_and_take_no_thread(
    api: Process, client: httpx.Client, count: int
) -> None:
    slow = SlowClients("127.0.0.1", api.port)

    with slow.driven(count), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/healthz").status_code, range(200)))
        signed_up = [_sign_up(client) for _ in range(5)]
        eventually(lambda: slow.open_kinds() == [], seconds=30, what="all of them are closed")

    assert answers == [200] * 200
    assert signed_up == [202] * 5
    assert slow.longest() < 10


def test_the_processes_share_a_crowd_of_connections(api: Process) -> None:
    assert api.popen is not None
    processes = psutil.Process(api.popen.pid).children()

    def count(status: str) -> list[int]:
        return [sum(one.status == status for one in process.net_connections()) for process in processes]

    # Each listens for requests and for health once it has loaded the application.
    eventually(lambda: len(processes) == 2 and count(psutil.CONN_LISTEN) == [2, 2], what="both processes are ready")
    before = count(psutil.CONN_ESTABLISHED)
    with ExitStack() as crowd:
        for _ in range(40):
            crowd.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=30))

        def shares() -> list[int]:
            return [now - then for now, then in zip(count(psutil.CONN_ESTABLISHED), before, strict=True)]

        eventually(lambda: sum(shares()) >= 40, what="all are accepted")
        assert min(shares()) >= 10, shares()


def test_five_thousand_idle_connections_do_not_stall_others(api: Process, client: httpx.Client) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    idle: list[socket.socket] = []
    try:
        for _ in range(5000):
            idle.append(socket.create_connection(("127.0.0.1", api.port), timeout=30))
            if len(idle) % 50 == 0:
                assert client.get("/healthz").status_code == 200

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get("/healthz").status_code, range(100)))
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))

    assert answers == [200] * 100


def test_with_no_room_the_longest_idle_connection_is_closed_for_the_next(
    platform: AllSettings, processes: Processes
) -> None:
    assert platform
    api = processes.api("--worker-connections", "10", API_PROCESSES="1")
    idle = [socket.create_connection(("127.0.0.1", api.port), timeout=30) for _ in range(10)]

    answers = [httpx.get(f"http://127.0.0.1:{api.port}/healthz", trust_env=False).status_code for _ in range(5)]

    assert answers == [200] * 5
    assert idle[0].recv(1) == b""
    for one in idle:
        one.close()


def test_a_kept_connection_does_not_keep_the_memory_of_its_last_request(api: Process) -> None:
    assert api.popen is not None
    processes = psutil.Process(api.popen.pid).children()
    before = sum(process.memory_info().rss for process in processes)
    body = b" " * 900_000
    head = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)

    with ExitStack() as stack:
        for _ in range(120):
            kept = stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=30))
            kept.sendall(head + body)
            assert kept.recv(65536).startswith(b"HTTP/1.1 405 ")
        grown = sum(process.memory_info().rss for process in processes) - before

    assert grown < 120 * len(body) / 2


def test_pipelined_requests_are_answered_in_their_order(api: Process) -> None:
    requests = b"".join(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r%d\r\nConnection: %s\r\n\r\n"
        % (number, b"close" if number == 9 else b"keep-alive")
        for number in range(10)
    )

    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(requests)
        answers = b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    assert re.findall(r"(?i)^x-request-id: (\w+)", answers, re.MULTILINE) == [f"r{number}" for number in range(10)]


def test_a_client_that_asks_first_is_let_send_its_body_and_a_large_one_is_refused_without_it(api: Process) -> None:
    head = (
        b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    )

    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(head + b"Content-Length: 2\r\nConnection: close\r\n\r\n")
        asked = connection.recv(65536)
        connection.sendall(b"{}")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(head + b"Content-Length: 20000000\r\n\r\n")
        refused = b"".join(iter(lambda: connection.recv(65536), b""))

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["detail"].startswith("the body is larger")


def test_health_and_metrics_answer_on_their_own_port_while_every_thread_waits(
    platform: AllSettings, processes: Processes, database: Database
) -> None:
    assert platform
    api = processes.api(API_PROCESSES="2", API_THREADS="2")
    person = {"email": "ada@slow.example", "name": "Ada", "password": "correct horse battery"}

    with ThreadPoolExecutor(12) as pool, database.transaction() as session:
        session.execute("lock table users in access exclusive mode")
        url = f"http://127.0.0.1:{api.port}/v1/users"
        waiting = [pool.submit(httpx.post, url, json=person, timeout=60, trust_env=False) for _ in range(12)]
        eventually(lambda: _waits_for_a_lock(database), what="a request waits for the lock")
        health = [api.health(path).status_code for path in ("/healthz", "/readyz", "/metrics")]
        session.execute("rollback")

    assert health == [200, 200, 200]
    assert all(one.result() for one in waiting)


def _waits_for_a_lock(database: Database) -> bool:
    with database.transaction() as session:
        return session.fetch_one("select from pg_locks where not granted") is not None
