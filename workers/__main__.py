"""`python -m workers`: one worker process, Dramatiq's threads on the queue `jobs`; scale by starting more of them."""

import gc
import os
import signal
import threading
import time
from typing import Any

# Dramatiq reads it when it is imported: how soon a consumer that lost its connection tries again.
os.environ.setdefault("dramatiq_restart_delay", "500")

import dramatiq
import structlog

import mail_templates
import workers.jobs
from moneyflow.accounts.settings import AccountSettings
from moneyflow.audit.settings import AuditCheckpointSettings
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.mail.smtp import SmtpMailer
from moneyflow.gateways.payments.providers import provider_of
from moneyflow.gateways.payments.settings import PaymentSettings
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import check_at_start, storage_of
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.brokers.rabbitmq import JOBS_QUEUE, connection_parameters
from moneyflow.platform.brokers.ready_list import ReadyList
from moneyflow.platform.database import Database
from moneyflow.platform.events.reporter import Health, Reporter
from moneyflow.platform.settings import RetentionSettings
from moneyflow.platform.telemetry.health import serve_health
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.platform.telemetry.start import begin, listening, run
from moneyflow.settings import WorkerSettings
from workers import handlers
from workers.claims.claims import Claims
from workers.claims.connection import WorkerConnection
from workers.claims.heartbeat import Heartbeat
from workers.claims.retry import PostgresRetry
from workers.execution.completion import Completion
from workers.execution.executor import Executor
from workers.execution.redaction import Redactor
from workers.execution.result_files import ResultFiles
from workers.intake.broker import JobsBroker, declare_actors
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.consumer import Intake, JobMessage
from workers.intake.delivery import Delivery
from workers.intake.prefetch import Credit, PrefetchPolicy
from workers.intake.ready_list import ReadyListSource
from workers.intake.refusals import Refusals
from workers.runtime import Runtime

log = structlog.get_logger(__name__)


_EXIT_HANGING = 70


class WorkerProcess:
    """Everything that one worker process is made of, wired in one place."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self.name = process_name()
        notifier, retry, credit = Notifier(settings), PostgresRetry(server=settings.postgres_address), Credit()
        self.database = Database(self._conninfo(""), size=settings.worker_threads + 1, notify=notifier)
        self.batches = Database(self._conninfo(" completer"), size=1, notify=notifier, by_keys=True)
        self.mailer = SmtpMailer(settings.only(MailSettings), mail_templates.render)
        self.payments = provider_of(settings.only(PaymentSettings), self.database)
        self.storage = storage_of(settings.only(StorageSettings))
        own = (AccountSettings, AuditCheckpointSettings, RetentionSettings)
        sections = [settings.only(section) for section in own]
        gateways = handlers.Gateways([self.mailer, self.payments, self.storage, *sections])
        self.connection = WorkerConnection(
            self._conninfo(" claims"),
            name=self.name,
            lease_seconds=settings.worker_lease_seconds,
            threads=settings.worker_threads,
        )
        self.heartbeat = Heartbeat(
            self.connection,
            parent_died=self.stopping.set,
            each_beat=self._exit_when_a_job_hangs,
            running=self._running_jobs,
        )
        claims = Claims(self.connection, retry, released=lambda: notifier(["jobs"], []))
        self.health = Health(
            alive=[self.is_alive],
            ready=[self.database.check, self.is_consuming],
            every_seconds=settings.health_check_seconds,
        )
        self.reporter = Reporter(self.database)
        self.reporter.watch(self.health)
        completion = Completion(
            self.database,
            batches=self.batches,
            redactor=Redactor(settings),
            worker=self.name,
            report_error=self.reporter.error,
        )
        self.executor = Executor(
            database=self.database,
            claims=claims,
            completion=completion,
            handlers=handlers.bind(handlers.registry, gateways),
            files=ResultFiles(self.storage),
            retry=retry,
            worker=self.name,
        )
        buffer = ClaimBuffer(claims.claim)
        refusals = Refusals()
        self.runtime = Runtime(
            buffer=buffer,
            claims=claims,
            executor=self.executor,
            retry=retry,
            refusals=refusals,
            report_error=self.reporter.error,
        )
        policy = PrefetchPolicy(self.runtime, buffer, threads=settings.worker_threads, has_credit=credit.is_spare)
        intake = Intake(
            buffer=buffer, policy=policy, credit=credit, give_back=self.runtime.give_back, refusals=refusals
        )
        self.broker = JobsBroker(connection_parameters(settings, login="worker", name=f"worker {self.name}"), intake)
        declare_actors(self.broker, self.runtime.run)
        self.broker.add_middleware(_GiveBack(self.runtime))
        self.worker = dramatiq.Worker(self.broker, worker_threads=settings.worker_threads)
        self.ready_list = self._ready_list_source(buffer, policy)

    def run(self) -> None:
        """Work until asked to stop; then finish what runs and give back the rest."""
        gc.collect()
        gc.freeze()  # PERF: what is there from the start stays, and the collector need not look at it again.
        self.database.open()
        self.batches.open()
        self.reporter.start()
        self.heartbeat.start()
        self.executor.completer.start()
        self.worker.start()
        check_at_start(self.storage)
        if self.ready_list is not None:
            self.ready_list.start()
        log.info("worker_ready", worker=self.name, threads=self.settings.worker_threads)
        self.stopping.wait()
        log.info("worker_stopping")
        if self.ready_list is not None:
            self.ready_list.stop()
        self.worker.stop(timeout=int(self.settings.worker_shutdown_seconds * 1000))
        self.broker.close()
        self.heartbeat.stop()
        self.connection.close()
        self.mailer.close()
        self.payments.close()
        self.storage.close()
        self.reporter.stop()
        self.database.close()
        self.batches.close()
        log.info("worker_stopped")

    def is_alive(self) -> str | None:
        """Return what no longer moves: a dead thread, or the heartbeat."""
        dead = [thread.name for thread in self.threads() if thread.ident is not None and not thread.is_alive()]
        if dead and not self.stopping.is_set():
            return f"threads died: {', '.join(dead)}"
        silent = time.monotonic() - self.heartbeat.last_beat
        if silent > max(60.0, 4 * self.settings.worker_lease_seconds):
            return f"no heartbeat reached Postgres for {silent:.0f} seconds"
        return None

    def is_consuming(self) -> str | None:
        """Return why no message can come in, or None."""
        for thread in self.worker.consumers.values():
            connection = getattr(thread.consumer, "connection", None)
            if connection is None or not connection.is_open:
                return f"no connection with RabbitMQ at {self.settings.rabbitmq_address}"
        return None

    def threads(self) -> list[threading.Thread]:
        """Return the threads without which this worker does nothing."""
        own = [self.executor.completer.thread, *([self.ready_list.thread] if self.ready_list else [])]
        return [*self.worker.workers, *self.worker.consumers.values(), *own]

    def _conninfo(self, part: str) -> str:
        return self.settings.conninfo("worker", application_name=f"worker {self.name}{part}")

    def _running_jobs(self) -> list[dict[str, Any]]:
        return self.executor.running_jobs()

    def _ready_list_source(self, buffer: ClaimBuffer, policy: PrefetchPolicy) -> ReadyListSource | None:
        """Return the second source of deliveries, next to RabbitMQ, unless the settings turn it off."""
        if not self.settings.worker_ready_list:
            return None
        return ReadyListSource(
            ReadyList(self.settings),
            buffer,
            policy,
            is_open=lambda: self.is_consuming() is None,
            deliver=self._deliver,
        )

    def _deliver(self, delivery: Delivery) -> None:
        """Have the next free thread run the delivery, in the order of the priorities."""
        self.worker.consumers[JOBS_QUEUE].handle_message(JobMessage(delivery))

    def _exit_when_a_job_hangs(self) -> None:
        """Exit when a handler overruns its time limit by far: no thread can be killed.

        The job is quarantined elsewhere, and hangs no more often than it has attempts; the other jobs of this process
        run again and lose none.
        """
        hanging = self.executor.overdue()
        if hanging is not None:
            log.critical("job_hanging", job_id=str(hanging.id), job=hanging.kind, consequence="this worker exits")
            os._exit(_EXIT_HANGING)


class _GiveBack(dramatiq.Middleware):
    """Gives back what no thread has started, before the consumer closes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def before_consumer_thread_shutdown(self, *_: object) -> None:
        """Stop the runtime: all worker threads have stopped by now, or had their time."""
        self._runtime.stop()


def main() -> int:
    """Run one worker process until SIGTERM or SIGINT."""
    settings = begin("worker", WorkerSettings)
    assert workers.jobs, "importing it declares the handlers"
    process = WorkerProcess(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stopping.set())
    with listening("WORKER_METRICS_PORT", host=settings.bind_host, port=settings.worker_metrics_port):
        serve_health(
            host=settings.bind_host,
            port=settings.worker_metrics_port,
            alive=process.health.alive,
            ready=process.health.ready,
        )
    process.run()
    return 0


if __name__ == "__main__":
    run(main)
