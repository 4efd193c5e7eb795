"""nginx, the front door: TLS, whole requests, time-outs, limits, and who the client is."""

import json
import re
import socket
import ssl
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ops.dev.stack.home import State
from ops.dev.stack.https import client_options
from ops.dev.stack.servers import Nginx
from ops.dev.stack.servers.nginx import ClientBounds
from tests.support.processes import Process, Processes
from tests.support.servers import Fleet, fresh_environment
from tests.support.slow_clients import SlowClients, driven_apart

_KINDS = ("head", "body", "chunks", "unread")


@dataclass(frozen=True)
class Door:
    """nginx before one API."""

    nginx: Nginx
    api: Process

    @property
    def tls(self) -> ssl.SSLContext:
        return client_options(self.nginx.settings())["verify"]

    def client(self) -> httpx.Client:
        return httpx.Client(**client_options(self.nginx.settings()), timeout=60)


@pytest.fixture(scope="module")
def environment(fleet: Fleet) -> Iterator[dict[str, str]]:
    """Return the environment of an API and a database that all tests of this module share."""
    with fresh_environment(fleet.shared) as environment:
        yield environment


@pytest.fixture(scope="module")
def door(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Start the API once, and nginx before it."""
    with Processes(environment, tmp_path_factory.mktemp("door")) as processes:
        api = processes.api(TRUSTED_PROXIES="127.0.0.1/32", LOG_LEVEL="debug")
        with _nginx(api, tmp_path_factory.mktemp("stack")) as nginx:
            yield Door(nginx, api)


@contextmanager
def _nginx(api: Process, home: Path, limits: ClientBounds | None = None) -> Iterator[Nginx]:
    """Run nginx before an API during the block."""
    state = State(home)
    state.change("ports", "api", api.port)
    nginx = Nginx(state, limits or ClientBounds())
    nginx.start()
    try:
        nginx.wait_ready()
        yield nginx
    finally:
        nginx.stop()


@pytest.fixture
def client(door: Door) -> Iterator[httpx.Client]:
    with door.client() as client:
        yield client


def _person() -> dict[str, str]:
    return {"email": f"{uuid.uuid4().hex}@door.example", "name": "Ada", "password": "correct horse battery"}


def test_with_two_hundred_slow_clients_of_each_kind_every_other_request_is_answered(door: Door) -> None:
    slow = SlowClients("127.0.0.1", door.nginx.port(), door.tls)

    with slow.driven(200 * len(_KINDS), _KINDS), ThreadPoolExecutor(8) as pool, door.client() as client:
        signed_up = [client.post("/v1/users", json=_person()).status_code for _ in range(5)]
        answers = list(pool.map(lambda _: client.get("/healthz").status_code, range(200)))

    assert signed_up == [202] * 5
    assert answers == [200] * 200


def test_slow_clients_at_most_double_the_time_of_others(door: Door, request: pytest.FixtureRequest) -> None:
    rounds: int = request.config.getoption("--slow-rounds")
    if not rounds:
        pytest.skip("timed: run by `make acceptance ARGS=api`")
    without, with_slow = [], []
    authority, count = door.nginx.settings()["APP_CA_FILE"], 200 * len(_KINDS)

    with door.client() as client:
        _seconds(client, 200)  # The first requests open connections.
        for _ in range(rounds):
            without.append(_p99(_seconds(client, 1000)))
            with driven_apart("127.0.0.1", door.nginx.port(), authority, count=count, kinds=_KINDS):
                _seconds(client, 1000)  # The requests of those that never read are answered meanwhile: a load like any.
                with_slow.append(_p99(_seconds(client, 1000)))

    ratio = statistics.median(with_slow) / statistics.median(without)
    print(f"p99 in ms without {_shown(without)}, with {_shown(with_slow)}: {ratio:.2f} times")
    assert ratio <= 2


def _seconds(client: httpx.Client, count: int) -> list[float]:
    """Return the seconds of so many requests, eight at once, each of which is answered."""

    def one(_: int) -> float:
        began = time.perf_counter()
        client.get("/healthz").raise_for_status()
        return time.perf_counter() - began

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def _shown(seconds: list[float]) -> str:
    return " ".join(f"{1000 * one:.1f}" for one in seconds)


def test_a_client_is_led_to_https_and_old_tls_is_refused(door: Door, client: httpx.Client) -> None:
    plain = httpx.get(f"http://127.0.0.1:{door.nginx.port('http')}/v1/users/me?a=1", trust_env=False)

    assert (plain.status_code, plain.headers["Location"]) == (308, f"{client.base_url}/v1/users/me?a=1")
    assert [_is_spoken(door, version) for version in ("tls1_1", "tls1_2", "tls1_3")] == [False, True, True]
    assert client.get("/healthz").json() == {"ok": True, "problems": []}


def _is_spoken(door: Door, version: str) -> bool:
    """Return whether a handshake of that version of TLS succeeds."""
    address = f"127.0.0.1:{door.nginx.port()}"
    command = ["openssl", "s_client", "-connect", address, f"-{version}", "-cipher", "DEFAULT:@SECLEVEL=0"]
    return subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60).returncode == 0


def test_http_2_is_spoken(door: Door) -> None:
    tls = door.tls
    tls.set_alpn_protocols(["h2", "http/1.1"])

    with (
        socket.create_connection(("127.0.0.1", door.nginx.port()), timeout=30) as connection,
        tls.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
    ):
        chosen = secured.selected_alpn_protocol()

    assert chosen == "h2"


def test_only_nginx_says_who_the_client_is(door: Door, client: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.7"}
    own = client.post("/v1/users/activation/resend", json={"email": _person()["email"]})

    others = [
        client.post("/v1/users/activation/resend", json={"email": _person()["email"]}, headers=forged) for _ in range(2)
    ]

    left = [int(answer.headers["RateLimit-Remaining"]) for answer in (own, *others)]
    assert left == [left[0], left[0] - 1, left[0] - 2], "all of them are counted for this client"


def test_a_request_keeps_its_id_and_gets_one_where_it_has_none(door: Door, client: httpx.Client) -> None:
    given = client.get("/healthz", headers={"X-Request-Id": "mine-1"})
    made = client.get("/healthz")

    assert given.headers.get_list("X-Request-Id") == ["mine-1"]
    assert re.fullmatch("[0-9a-f]{32}", made.headers["X-Request-Id"])


def test_what_nginx_refuses_is_a_problem_with_an_id(door: Door, client: httpx.Client) -> None:
    refused = {
        404: client.get("/metrics"),
        413: client.post("/v1/users", content=b" " * 2_000_000, headers={"Content-Type": "application/json"}),
        414: client.get("/" + "a" * 20_000),
        405: client.post("/storage/a.txt"),
        431: client.get("/healthz", headers={"X-Long": "a" * 20_000}),
        400: httpx.get(f"http://127.0.0.1:{door.nginx.port()}/healthz", trust_env=False),
    }
    door.api.kill_all()
    refused[502] = client.get("/v1/users/me", headers={"X-Request-Id": "mine-2"})
    door.api.start()

    for status, answer in refused.items():
        assert (status, answer.status_code) == (status, status)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["instance"] == answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert refused[502].json()["instance"] == "mine-2"
    assert refused[502].headers["Retry-After"] == "2"
    logged = [json.loads(line) for line in door.nginx.log.read_text().splitlines() if line.startswith("{")]
    assert {line["status"] for line in logged} >= {404, 413, 431, 502}
    assert "/v1/users" not in door.nginx.log.read_text()


def test_a_client_above_its_limits_is_refused_with_a_problem(door: Door, tmp_path: Path) -> None:
    bounds = ClientBounds(requests_per_second=1, burst=5)
    with _nginx(door.api, tmp_path, bounds) as nginx, Door(nginx, door.api).client() as client:
        answers = [client.get("/healthz") for _ in range(20)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 10
    assert all(answer.headers["Retry-After"] == "2" for answer in refused)
    assert {answer.headers["Content-Type"] for answer in refused} == {"application/problem+json"}


def test_readiness_and_metrics_do_not_pass(client: httpx.Client) -> None:
    assert [client.get(path).status_code for path in ("/metrics", "/readyz", "/healthz")] == [404, 404, 200]


def test_the_key_is_for_its_owner_alone_and_that_of_the_authority_is_kept_nowhere(door: Door) -> None:
    certificates = door.nginx.folder / "certificates"

    assert (certificates / "server.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in certificates.iterdir()) == ["ca.pem", "server.key", "server.pem"]
