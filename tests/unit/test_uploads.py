"""Uploads and downloads of files: their bytes pass by the disk, and the memory holds a piece of them at most."""

import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.serving.connection import Connection, Terms
from api.serving.refusals import NO_ROOM, TOO_LARGE, Refusal
from api.upload_sizes import LARGEST, MIB
from ops.dev.stack.home import CHECKOUT

_LIMIT = 4 * 1024 * 1024
_BODY = bytes(range(256)) * 8000
_UPLOAD = b"POST /files?name=a HTTP/1.1\r\nHost: localhost\r\n"
_NEXT = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """Return the server's connection, which takes uploads at one address, and the client's end."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.settimeout(10)
        accepted, _ = listener.accept()
        terms = Terms(longest_body=100_000, largest_uploads={(b"POST", b"/files"): _LIMIT})
        connection = Connection(SimpleNamespace(keepalive=2), accepted, ("::1", 1), ("::1", 2), terms=terms)
        yield connection, client
        connection.end()


def _received(connection: Connection, client: socket.socket, data: bytes) -> Refusal | bool:
    """Send bytes, and receive until the request is whole or refused, or nothing more comes."""
    outcome: Refusal | bool = False
    for start in range(0, len(data), 50_000):
        client.sendall(data[start : start + 50_000])
        outcome = connection.receive()
        if outcome is not False:
            return outcome
    client.shutdown(socket.SHUT_WR)
    while outcome is False:
        outcome = connection.receive()
    return outcome


def test_an_upload_waits_on_the_disk_and_is_read_as_it_was_sent(ends: tuple[Connection, socket.socket]) -> None:
    connection, client = ends

    is_whole = _received(connection, client, _UPLOAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY)

    assert is_whole is True
    assert connection.upload_bytes == len(_BODY)
    assert connection.held_bytes < 1000
    body = connection.upload()
    assert body is not None
    assert body.read() == _BODY


def test_what_comes_after_an_upload_is_the_next_request(ends: tuple[Connection, socket.socket]) -> None:
    connection, client = ends
    sent = _UPLOAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY + _NEXT

    is_whole = _received(connection, client, sent)
    body = connection.upload()
    assert body is not None
    read = body.read()
    while not (is_next := connection.next_request()):
        is_next = connection.receive() is True

    assert is_whole is True
    assert read == _BODY
    assert is_next is True
    assert connection.sock.recv(1000) == _NEXT
    assert connection.upload() is None
    assert connection.upload_bytes == 0


@pytest.mark.parametrize(
    "sent",
    [
        _UPLOAD + b"Content-Length: 5368709120\r\n\r\n",
        _UPLOAD + b"Content-Length: %d\r\n\r\n" % (_LIMIT + 1),
        _UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n30000\r\n" + b" " * 0x30000,
        _UPLOAD.replace(b"/files", b"/other") + b"Content-Length: 100001\r\n\r\n",
        _UPLOAD.replace(b"POST", b"PUT") + b"Content-Length: 100001\r\n\r\n",
    ],
)
def test_what_is_larger_than_its_address_takes_is_refused_before_it_is_read(
    ends: tuple[Connection, socket.socket], sent: bytes
) -> None:
    connection, client = ends

    assert _received(connection, client, sent) is TOO_LARGE
    assert connection.upload_bytes == 0
    assert connection.held_bytes < 300_000


def test_an_upload_is_refused_with_a_time_to_come_again_when_the_disk_is_full(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, client = ends
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        outcome = _received(connection, client, _UPLOAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    assert outcome is NO_ROOM


def test_a_file_is_sent_as_the_client_reads_it_and_takes_no_memory(
    ends: tuple[Connection, socket.socket], tmp_path: Path
) -> None:
    connection, client = ends
    content = os.urandom(8_000_000)
    path = tmp_path / "file"
    path.write_bytes(content)

    connection.sock.hold()
    connection.sock.sendall(b"head")
    with path.open("rb") as file:
        connection.sock.sendfile(file, 1000, 7_000_000)
    has_unsent, held = connection.sock.has_unsent, connection.held_bytes
    read = bytearray()
    while len(read) < 7_000_004:
        connection.send_more()
        read += client.recv(1_000_000)

    assert has_unsent
    assert held == 0
    assert bytes(read) == b"head" + content[1000:7_001_000]
    assert connection.send_more() is True


def test_nginx_and_the_api_take_the_same_uploads() -> None:
    template = (CHECKOUT / "ops" / "docker" / "nginx" / "nginx.conf.template").read_text(encoding="utf-8")

    limits = re.findall(r"location = (\S+) \{\s+client_max_body_size (\d+)m;", template)

    assert {path: int(mib) * MIB for path, mib in limits} == {
        path.decode(): size for (_, path), size in LARGEST.items()
    }


def test_an_answer_whose_file_was_cut_is_broken_off(ends: tuple[Connection, socket.socket], tmp_path: Path) -> None:
    connection, client = ends
    path = tmp_path / "file"
    path.write_bytes(bytes(8_000_000))
    with path.open("r+b") as file:
        connection.sock.sendfile(file, 0, 8_000_000)
        file.truncate(4_000_000)

    def send_on() -> None:
        while client.recv(1_000_000):
            connection.send_more()

    with pytest.raises(ConnectionAbortedError, match="the file ends"):
        send_on()
