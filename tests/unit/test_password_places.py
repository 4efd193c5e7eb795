"""Passwords are hashed in fewer places than a process has threads."""

import threading

import pytest

from moneyflow.accounts.passwords import Passwords
from moneyflow.platform.errors import BusyError


@pytest.mark.parametrize("threads", [3, 4, 6, 8, 16, 64])
def test_a_flood_of_hashes_leaves_two_threads_and_the_next_is_refused_at_once(threads: int) -> None:
    passwords = Passwords.for_process(threads=threads, processes=2)
    refused = threading.Event()
    hashed = []

    def hash_one() -> None:
        try:
            hashed.append(passwords.hash("correct horse battery"))
        except BusyError:
            refused.set()

    flood = [threading.Thread(target=hash_one) for _ in range(200)]
    for one in flood:
        one.start()
    for one in flood:
        one.join()

    assert refused.is_set()
    assert hashed


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 6, 8, 16, 64])
def test_the_places_are_fewer_than_the_threads(threads: int) -> None:
    passwords = Passwords.for_process(threads=threads, processes=2)

    assert passwords.places <= max(1, threads - 1 if threads < 3 else threads - 2)
