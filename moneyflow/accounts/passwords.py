"""Password hashes: argon2id, with a bound on concurrent hashes."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from moneyflow.platform.errors import BusyError

#: OWASP, *Password Storage Cheat Sheet*: argon2id with 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)

#: Concurrent hashes. SECURITY: each takes 19 MiB; without a bound, a flood of sign-ups would exhaust the memory.
_AT_ONCE = max(2, os.cpu_count() or 1)
_PLACES = threading.BoundedSemaphore(_AT_ONCE)
#: Seconds that a request waits for its turn; then it is answered with 503.
_WAIT_SECONDS = 10.0

#: PERF: a pool of its own, because the allocator keeps the memory that a thread once used: hashing in each of the API's
#: threads would hold 19 MiB per thread.
_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password in its encoded form.

    Raises:
        BusyError: too many passwords are being hashed.
    """
    if not _PLACES.acquire(timeout=_WAIT_SECONDS):
        raise BusyError("too many passwords are being hashed; repeat the request", retry_after_seconds=2)
    try:
        return _THREADS.submit(_HASHER.hash, password).result()
    finally:
        _PLACES.release()
