"""Large uploads to the API itself, without nginx: refused by their length, and in no memory while they come."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes

_MIB = 1024 * 1024
_HEAD = b"POST /v1/imports HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def api(settings: AllSettings, processes: Processes) -> Process:
    return processes.api(API_PROCESSES="1")


def _memory(api: Process) -> int:
    """Return the bytes that the processes which answer have in memory, and in no file."""
    return sum(one.memory_full_info().uss for one in api.children())


def _answer(api: Process, size: int, *, sent: int) -> bytes:
    """Send so much of an upload of a size, and return the first line of the answer."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as client:
        client.sendall(_HEAD % size)
        for _ in range(sent // _MIB):
            client.sendall(bytes(_MIB))
        return client.recv(1000).partition(b"\r\n")[0]


def test_a_length_of_five_gigabytes_is_refused_before_anything_of_it_is_read(api: Process) -> None:
    assert _answer(api, 5 * 1024 * _MIB, sent=0) == b"HTTP/1.1 413 Request Entity Too Large"


def test_large_uploads_take_no_memory_while_they_come(api: Process) -> None:
    _answer(api, _MIB, sent=_MIB)
    before = _memory(api)

    with ThreadPoolExecutor(8) as clients:
        coming = [clients.submit(_answer, api, 60 * _MIB, sent=60 * _MIB) for _ in range(8)]
        most = before
        while not all(one.done() for one in coming):
            most = max(most, _memory(api))

    assert len({one.result() for one in coming}) == 1
    assert not {b"408", b"413", b"503"} & set(coming[0].result().split())
    assert most - before < 32 * _MIB, f"{(most - before) / _MIB:.0f} MiB"
