"""Requests that never reach the application: refused as a problem, and nothing of them is in a log."""

import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from email.parser import BytesParser

import httpx
import pytest

from api.openapi.errors import AT_THE_DOOR, EVERY
from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes

#: What a client has sent by mistake, and no log may keep.
_SECRET = b"hunter2-hunter2"
_POST = b"POST /v1/users?token=%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % _SECRET
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_REFUSED = {
    "chunk size": (400, _CHUNKED + b"%s\r\n" % _SECRET),
    "chunk without its end": (400, _CHUNKED + b"3\r\n%s\r\n" % _SECRET),
    "chunk extension": (400, _CHUNKED + b"3;\x01%s\r\nabc\r\n0\r\n\r\n" % _SECRET),
    "trailer": (400, _CHUNKED + b"3\r\nabc\r\n0\r\nAuthorization: %s\r\n\r\n" % _SECRET),
    "request line": (400, b"%s\r\n\r\n" % _SECRET),
    "path": (400, b"GET /\xff%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % _SECRET),
    "method": (400, b"GE\x01T /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % _SECRET),
    "version": (400, b"GET /%s HTTP/9.9\r\nHost: localhost\r\n\r\n" % _SECRET),
    "header name": (400, b"GET /%s HTTP/1.1\r\nHost: localhost\r\nX %s: 1\r\n\r\n" % (_SECRET, _SECRET)),
    "two hosts": (400, b"GET /%s HTTP/1.1\r\nHost: a\r\nHost: %s\r\n\r\n" % (_SECRET, _SECRET)),
    "two lengths": (400, _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n%s" % _SECRET),
    "length and chunks": (400, _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n%s" % _SECRET),
    "expectation": (417, _POST + b"Expect: %s\r\nContent-Length: 0\r\n\r\n" % _SECRET),
    "long line": (414, b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (_SECRET * 1000)),
    "long header": (431, _POST + b"X-Long: %s\r\n\r\n" % (_SECRET * 1000)),
    "many headers": (431, _POST + b"".join(b"X-%d: %s\r\n" % (n, _SECRET) for n in range(200)) + b"\r\n"),
    "large body": (413, _POST + b"Content-Length: 2000000\r\n\r\n%s" % _SECRET),
}


@pytest.fixture
def api(platform: AllSettings, processes: Processes) -> Process:
    assert platform
    return processes.api(LOG_LEVEL="debug")


def _answer(api: Process, request: bytes) -> tuple[int, Message, bytes]:
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, _, headers = head.partition(b"\r\n")
    return int(first.split()[1]), BytesParser().parsebytes(headers), body


def test_each_request_that_is_not_http_is_refused_with_a_problem_and_leaves_nothing_in_a_log(api: Process) -> None:
    for name, (status, request) in _REFUSED.items():
        got, headers, body = _answer(api, request)

        assert (name, got) == (name, status)
        problem = json.loads(body)
        assert (name, headers["Content-Type"]) == (name, "application/problem+json")
        assert (problem["status"], problem["instance"]) == (status, headers["X-Request-Id"])
        assert uuid.UUID(problem["instance"])
        assert problem["type"] in {kind.type for kind in (*EVERY, *AT_THE_DOOR)}
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert _SECRET not in body
    assert api.get("/healthz").status_code == 200
    assert _SECRET.decode() not in api.log()
    assert "Traceback" not in api.log()
    assert f'status="400"}} {sum(status == 400 for status, _ in _REFUSED.values())}' in api.get("/metrics").text


def test_a_flood_of_sign_ups_leaves_threads_for_others_and_is_answered_at_once_when_the_queue_is_full(
    platform: AllSettings, processes: Processes
) -> None:
    assert platform
    api = processes.api(API_PROCESSES="1", API_THREADS="8", API_LIMITS_FACTOR="10000")
    url = f"http://127.0.0.1:{api.port}"

    with httpx.Client(base_url=url, timeout=60, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:

        def sign_up(number: int) -> httpx.Response:
            person = {"email": f"{number}@flood.example", "name": "Ada", "password": "correct horse battery"}
            return client.post("/v1/users", json=person)

        with ThreadPoolExecutor(40) as pool:
            flood = [pool.submit(sign_up, number) for number in range(200)]
            others = [client.get("/healthz").status_code for _ in range(20)]
            health = [api.health("/readyz").status_code for _ in range(20)]
        answers = [one.result() for one in flood]

    assert others == [200] * 20
    assert health == [200] * 20
    assert {one.status_code for one in answers} == {202, 503}
    assert all(one.headers["Retry-After"] == "2" for one in answers if one.status_code == 503)
