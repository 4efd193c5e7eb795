"""A worker's runtime in the test's own process: deliveries without RabbitMQ, on a real Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.store_worker import StoreWorker
from workers import handlers
from workers.claims.claims import Claims
from workers.claims.retry import PostgresRetry
from workers.execution.completion import Completion
from workers.execution.executor import Executor
from workers.execution.redaction import Redactor
from workers.execution.result_files import ResultFiles
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery, Verdict
from workers.runtime import Runtime
from workers.testing.gateways import fake_gateways, temporary_storage


class RefusingConnection:
    """A worker's connection that refuses its first statements with the given errors."""

    def __init__(self, worker: StoreWorker, *refusals: Exception) -> None:
        self._worker = worker
        self.refusals = list(refusals)

    @contextmanager
    def use(self) -> Iterator[tuple[Connection[DictRow], int]]:
        if self.refusals:
            raise self.refusals.pop(0)
        yield self._worker.connection, self._worker.number


@dataclass(frozen=True)
class Running:
    """A runtime with its buffer; `woken` counts the releases of which the relay learned."""

    runtime: Runtime
    buffer: ClaimBuffer
    claims: Claims
    woken: list[None]


def start(settings: AllSettings, database: Database, connection: Any, **replaced: Any) -> Running:
    """Return a runtime with the handlers of the tests, some of them replaced by kind."""
    retry = PostgresRetry()
    woken: list[None] = []
    claims = Claims(connection, retry, released=lambda: woken.append(None))
    completion = Completion(database, batches=database, redactor=Redactor(settings), worker="worker")
    executor = Executor(
        database=database,
        claims=claims,
        completion=completion,
        handlers=handlers.bind(handlers.registry | replaced, fake_gateways()),
        files=ResultFiles(temporary_storage()),
        retry=retry,
        worker="worker",
    )
    executor.completer.start()
    buffer = ClaimBuffer(claims.claim)
    return Running(Runtime(buffer=buffer, claims=claims, executor=executor, retry=retry), buffer, claims, woken)


@dataclass
class Delivered:
    """A delivery and its verdicts."""

    delivery: Delivery
    verdicts: list[Verdict]

    @property
    def verdict(self) -> Verdict | None:
        return self.verdicts[0] if self.verdicts else None


def deliver(running: Running, job_id: UUID, *, is_best_effort: bool = False) -> Delivered:
    """Deliver the job; no thread has started it."""
    verdicts: list[Verdict] = []
    delivery = Delivery(job_id=job_id, priority=5, settle=verdicts.append, is_best_effort=is_best_effort)
    running.buffer.arrived(delivery)
    return Delivered(delivery, verdicts)


def run(running: Running, job_id: UUID) -> Verdict | None:
    """Deliver the job, run it in this thread and return the delivery's verdict, if it has one."""
    delivered = deliver(running, job_id)
    running.runtime.run(delivered.delivery)
    return delivered.verdict
