"""Marks: what a worker process reports to the benchmark, for each job its tag and when its handler began and ended.

They are the same in every system and cost microseconds: a handler appends three numbers to a list in memory, and a
thread of the process sends what has gathered in one datagram, 50 times a second.
"""

import os
import socket
import struct
import threading
import time
from collections import deque

#: The environment variable with the path of the benchmark's Unix datagram socket.
SOCKET_VARIABLE = "BENCH_SOCKET"
HEADER = struct.Struct("<q")  # The process's id.
RECORD = struct.Struct("<qdd")  # A job's tag; seconds since the epoch at its begin and at its end.
_EVERY_SECONDS = 0.02
_RECORDS_A_DATAGRAM = 1000


class _Marks:
    """Gathers the marks of one process."""

    def __init__(self) -> None:
        self._gathered: deque[tuple[int, float, float]] = deque()
        self._starting = threading.Lock()
        self._sender_of = 0

    def mark(self, tag: int, began: float) -> None:
        """Mark a job whose handler ends now."""
        self._gathered.append((tag, began, time.time()))
        if self._sender_of != os.getpid():  # The first job of this process, or of a forked one.
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._sender_of != os.getpid():
                self._sender_of = os.getpid()
                threading.Thread(target=self._send_for_ever, name="bench marks", daemon=True).start()

    def _send_for_ever(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect(os.environ[SOCKET_VARIABLE])
            header = HEADER.pack(os.getpid())
            while True:
                count = min(len(self._gathered), _RECORDS_A_DATAGRAM)
                if count:
                    out.send(header + b"".join(RECORD.pack(*self._gathered.popleft()) for _ in range(count)))
                else:
                    time.sleep(_EVERY_SECONDS)


mark = _Marks().mark
