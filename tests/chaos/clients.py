"""The clients of a round: threads that enqueue in transactions of their own, and others that ask the API."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import psycopg

from moneyflow.events.user import UserActivated
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.enqueue import enqueue
from tests.chaos.requested import Answer, Request, SignUp, draw_requests
from tests.support.retries import pause_after

_THREADS = 6
_API_THREADS = 2
#: Requests of a steady stream that are drawn together, and sent in the clients' `seconds`.
_STEADY_BATCH = 10
#: Seconds after which a request without an answer is left unanswered.
_RETRY_SECONDS = 60.0
#: A statement that repeats nothing: the number of a request is there once, or not at all.
_INSERT = "insert into requests values (%(number)s)"


@dataclass
class _Writer(threading.local):
    """One thread as an aggregate whose events have an order."""

    user_id: UUID = field(default_factory=uuid4)
    sequence: int = 0


@contextmanager
def steady_requests(clients: "Clients", *, seed: int) -> Iterator[list[Request]]:
    """Send requests for as long as the block runs; the list has all of them at its end."""
    sent: list[Request] = []
    stopping = threading.Event()

    def send() -> None:
        while not stopping.is_set():
            requests = draw_requests(seed, _STEADY_BATCH, first=len(sent))
            sent.extend(requests)
            clients.send(requests)

    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(send)
        try:
            yield sent
        finally:
            stopping.set()
            sending.result()


class Clients:
    """Sends all requests, evenly over `seconds`, and notes in each what was answered."""

    def __init__(self, database: Database, *, seconds: float, api_url: str | None = None) -> None:
        self._database = database
        self._seconds = seconds
        self._api_url = api_url
        self._writer = _Writer()
        self._began = 0.0

    def send(self, requests: Sequence[Request], sign_ups: Sequence[SignUp] = ()) -> None:
        """Return when each has its answer, or will have none."""
        self._began = time.monotonic()
        with ThreadPoolExecutor(_THREADS) as direct, ThreadPoolExecutor(_API_THREADS) as by_api:
            sent = [direct.submit(self._enqueue, r, n / len(requests)) for n, r in enumerate(requests)]
            sent += [by_api.submit(self._sign_up, s, n / len(sign_ups)) for n, s in enumerate(sign_ups)]
            for future in sent:
                future.result()

    def _wait_until(self, part: float) -> None:
        time.sleep(max(0.0, self._began + part * self._seconds - time.monotonic()))

    def _enqueue(self, request: Request, part: float) -> None:
        self._wait_until(part)
        request.answer = Answer.REFUSED
        try:
            with self._database.transaction() as session:
                session.execute(_INSERT, {"number": request.number})
                _enqueue_jobs(session, request)
                request.event_id = emit(session, self._event())
                request.answer = Answer.NONE
            request.answer = Answer.ACCEPTED
        except (psycopg.Error, PostgresDownError):
            return

    def _event(self) -> UserActivated:
        self._writer.sequence += 1
        return UserActivated(
            sequence=self._writer.sequence, user_id=self._writer.user_id, activated_at=datetime.now(UTC)
        )

    def _sign_up(self, sign_up: SignUp, part: float) -> None:
        self._wait_until(part)
        deadline = time.monotonic() + _RETRY_SECONDS
        body = {"email": sign_up.email, "name": "Ada Lovelace", "password": "correct horse"}
        while sign_up.answer is Answer.NONE and time.monotonic() < deadline:
            try:
                answer = httpx.post(
                    f"{self._api_url}/v1/users",
                    json=body,
                    headers={"Idempotency-Key": sign_up.email},
                    timeout=15,
                    trust_env=False,
                    verify=False,
                )
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                sign_up.job_id = UUID(answer.json()["job_id"])
                sign_up.answer = Answer.ACCEPTED
            elif answer.is_server_error or answer.status_code == httpx.codes.CONFLICT:
                time.sleep(pause_after(answer) or 0.1)
            else:
                raise AssertionError(f"the API refused {body} with {answer.status_code}: {answer.text}")


def _enqueue_jobs(session: Session, request: Request) -> None:
    if request.end:
        batches.submit(session, [order.job for order in request.orders], name="chaos", on_end=request.end)
        return
    for order in request.orders:
        enqueue(session, order.job, delay=timedelta(seconds=order.delay_seconds))
