"""Passwords: argon2id, and never more at once than the machine has memory and cores for."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from moneyflow.platform.errors import BusyError

#: OWASP, *Password Storage Cheat Sheet*: argon2id with 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)

#: SECURITY: every hash takes 19 MiB; without a bound, a flood of sign-ups would be an attack on the memory.
_AT_ONCE = max(2, os.cpu_count() or 1)
_PLACES = threading.BoundedSemaphore(_AT_ONCE)
_WAIT_SECONDS = 10.0

#: PERF: threads of their own, because the allocator keeps what a thread once took for that thread: hashed by each of
#: the API's threads in turn, a process would hold 19 MiB for every one of them for ever.
_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password in its own text form.

    Raises:
        BusyError: when no place was free in time.
    """
    if not _PLACES.acquire(timeout=_WAIT_SECONDS):
        raise BusyError("too many passwords are being checked at this moment", retry_after_seconds=2)
    try:
        return _THREADS.submit(_HASHER.hash, password).result()
    finally:
        _PLACES.release()
