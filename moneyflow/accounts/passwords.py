"""Password hashes: argon2id, with a bound on concurrent hashes and on those that wait."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from moneyflow.accounts.known_passwords import check_new_password, known_passwords
from moneyflow.platform.errors import BusyError

#: OWASP, *Password Storage Cheat Sheet*: argon2id with 19 MiB, two passes, one lane.
_ARGON2 = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)

#: Concurrent hashes. SECURITY: each takes 19 MiB; without a bound, a flood of sign-ups would exhaust the memory.
_AT_ONCE = max(2, os.cpu_count() or 1)
#: Passwords that wait in a process with enough threads, at least.
_SHORTEST_QUEUE = 3
#: Seconds that a request waits for its turn at most; a hash takes about 0.03.
_WAIT_SECONDS = 2.0

T = TypeVar("T")


class Passwords:
    """Hashes and verifies passwords; `waiting` requests wait while `at_once` are served, and others get BusyError.

    SECURITY: keep `at_once` + `waiting` below the threads of the process, so that a flood of sign-ins leaves some for
    other requests.
    """

    def __init__(self, *, at_once: int = _AT_ONCE, waiting: int = _AT_ONCE) -> None:
        #: Passwords that are hashed or wait.
        self.places = at_once + waiting
        self._places = threading.BoundedSemaphore(at_once)
        self._admitted = threading.BoundedSemaphore(self.places)
        #: PERF: a pool of its own, because the allocator keeps the memory that a thread once used: hashing in each of
        #: the API's threads would hold 19 MiB per thread.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")
        known_passwords()  # Before the first request that sets a password.
        self._no_hash = _ARGON2.hash("the password of an account that does not exist")

    @classmethod
    def for_process(cls, *, threads: int, processes: int) -> "Passwords":
        """Return it for one of so many processes on this machine: all of them together hash as many as it has cores.

        At least two threads of the process, of more, are left for other requests.
        """
        at_once = max(1, min((os.cpu_count() or 1) // processes, threads // 3))
        return cls(at_once=at_once, waiting=min(max(at_once, _SHORTEST_QUEUE), max(threads - 2 - at_once, 0)))

    def hash(self, password: str) -> str:
        """Return the argon2id hash of a new password in its encoded form.

        Raises:
            InvalidInputError: it is a known bad password, or too short or too long.
            BusyError: too many passwords are being hashed.
        """
        check_new_password(password)
        return self._run(lambda: _ARGON2.hash(password))

    def is_correct(self, password: str, *, encoded: str | None) -> bool:
        """Return whether the password has this hash. SECURITY: without a hash, the same work is done for nothing.

        Raises:
            BusyError: too many passwords are being hashed.
        """
        return self._run(lambda: _verify(encoded or self._no_hash, password)) and encoded is not None

    def _run(self, work: Callable[[], T]) -> T:
        with self._place():
            return self._threads.submit(work).result()

    @contextmanager
    def _place(self) -> Iterator[None]:
        busy = BusyError("too many passwords are being hashed; repeat the request", retry_after_seconds=2)
        if not self._admitted.acquire(blocking=False):
            raise busy
        try:
            if not self._places.acquire(timeout=_WAIT_SECONDS):
                raise busy
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._admitted.release()


def _verify(encoded: str, password: str) -> bool:
    try:
        return _ARGON2.verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False
