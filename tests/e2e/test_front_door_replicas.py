"""nginx before two replicas: what changes something is sent to one of them, what reads also to the next one."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ops.dev.stack.home import State
from ops.dev.stack.https import client_options
from ops.dev.stack.servers import Nginx

_ORIGIN = "https://app.example.com"


@dataclass
class _Replicas:
    """Two servers that take a request and close the connection, as a replica does that is killed in its midst."""

    ports: list[int] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(2):
                server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._take))
                self.ports.append(server.server_address[1])
                thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown)
            yield

    def _take(self, connection: object, _client: object, _server: object) -> None:
        head = connection.recv(65536)  # type: ignore[attr-defined]
        self.taken.append(head.partition(b" HTTP/")[0].decode())


@pytest.fixture(scope="module")
def replicas() -> Iterator[_Replicas]:
    replicas = _Replicas()
    with replicas.running():
        yield replicas


@pytest.fixture(scope="module")
def client(replicas: _Replicas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home: Path = tmp_path_factory.mktemp("stack")
    state = State(home)
    state.change("ports", "api", replicas.ports[0])
    nginx = Nginx(state, cors_origins=(_ORIGIN, "http://localhost:5173"))
    nginx.folder.mkdir(mode=0o700)
    servers = "".join(f"server 127.0.0.1:{port} max_fails=0;" for port in replicas.ports)
    (nginx.folder / "upstream.conf").write_text(f"upstream replaced {{ {servers} }}", encoding="ascii")
    (nginx.folder / "server.conf").write_text("set $replicas replaced;", encoding="ascii")
    nginx.start()
    try:
        nginx.wait_ready()
        with httpx.Client(**client_options(nginx.settings()), timeout=60) as client:
            yield client
    finally:
        nginx.stop()


@pytest.mark.parametrize(("method", "count"), [("GET", 2), ("POST", 1), ("PUT", 1), ("PATCH", 1), ("DELETE", 1)])
def test_a_request_that_changes_something_is_not_sent_to_a_second_replica(
    client: httpx.Client, replicas: _Replicas, method: str, count: int
) -> None:
    replicas.taken.clear()

    answer = client.request(method, "/v1/a%2Fb?c=%20d", content=None if method in {"GET", "DELETE"} else b"{}")

    assert replicas.taken == [f"{method} /v1/a%2Fb?c=%20d"] * count
    assert (answer.status_code, answer.json()["status"]) == (502, 502)
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("origin", [_ORIGIN, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_frontend_of_another_origin_may_read_what_nginx_answers(
    client: httpx.Client, origin: str, method: str
) -> None:
    answer = client.request(method, "/v1/users/me", headers={"Origin": origin})

    assert answer.status_code == 502
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://app.example.com.evil.example", "https://evil.example", "null"])
def test_another_origin_may_not(client: httpx.Client, origin: str) -> None:
    answer = client.get("/v1/users/me", headers={"Origin": origin})

    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "Origin" in answer.headers["Vary"]
