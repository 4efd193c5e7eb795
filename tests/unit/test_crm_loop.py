"""The sender's loop outlives every error, and says in the health of its process what it waits for."""

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from moneyflow.crm import loop as crm_loop
from moneyflow.crm.loop import SenderLoop
from moneyflow.crm.sender import Round
from moneyflow.crm.status import Totals
from moneyflow.platform.errors import PostgresDownError

_TOTALS = Totals(synced=1, waiting=2, set_aside=3, removed=4, last_synced_at=None, oldest_waiting_seconds=5.0)


class Stub:
    """A sender whose rounds do what a test says, and whose connections are opened and closed."""

    def __init__(self, *rounds: Round | Exception) -> None:
        self.rounds = list(rounds)
        self.acts: list[str] = []
        self.stop: Callable[[], object] = lambda: None
        self.database = self
        self.crm = self

    def open(self) -> None:
        self.acts.append("open")

    def close(self) -> None:
        self.acts.append("close")

    @contextmanager
    def transaction(self) -> Any:
        yield self

    def fetch_one(self, *_: object) -> dict[str, Any]:
        return _TOTALS.__dict__

    def run_once(self) -> Round:
        done = self.rounds.pop(0)
        if not self.rounds:
            self.stop()
        if isinstance(done, Exception):
            raise done
        return done


def _run(stub: Stub, errors: list[BaseException]) -> SenderLoop:
    """Run the loop until the stub has no more rounds."""
    loop = SenderLoop(stub, report_error=errors.append)  # type: ignore[arg-type] # as far as the loop uses one

    async def run() -> None:
        stopping, running = asyncio.Event(), asyncio.get_running_loop()
        stub.stop = lambda: running.call_soon_threadsafe(stopping.set)
        await loop.run(stopping)

    asyncio.run(run())
    return loop


@pytest.mark.parametrize(
    ("last", "complaint", "reported"),
    [
        (Round(), None, 0),
        (Round(complaint="the CRM is down"), "the CRM is down", 0),
        (PostgresDownError("no connection"), "Postgres: PostgresDownError('no connection')", 0),
        (KeyError("results"), "a round of sending failed: KeyError('results')", 1),
    ],
)
def test_each_round_that_fails_is_a_complaint_and_a_bug_is_reported(
    last: Round | Exception, complaint: str | None, reported: int
) -> None:
    errors: list[BaseException] = []
    stub = Stub(Round(has_more=True), last)

    loop = _run(stub, errors)

    assert (loop.is_ready(), loop.is_alive(), len(errors)) == (complaint, None, reported)
    assert stub.acts == ["open", "close", "close"], "its pool, and the connections to the CRM"


def test_a_round_that_hangs_is_no_sign_of_life() -> None:
    now = 0.0
    loop = SenderLoop(Stub(), clock=lambda: now)  # type: ignore[arg-type] # as above

    now = crm_loop._STUCK_SECONDS + 1

    assert "hangs for 301 seconds" in str(loop.is_alive())
