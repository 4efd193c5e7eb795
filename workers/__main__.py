"""`python -m workers`: one worker process, Dramatiq's threads on the queue `jobs`; scale by starting more of them."""

import gc
import os
import signal
import socket
import sys
import threading
import time

# Dramatiq reads it when it is imported: how soon a consumer that lost its connection tries again.
os.environ.setdefault("dramatiq_restart_delay", "500")

import dramatiq
import structlog

import mail_templates
import workers.jobs
from moneyflow.gateways.mail import Mailer
from moneyflow.platform.brokers.notifier import Notifier, ReadyJobs
from moneyflow.platform.brokers.rabbitmq import JOBS_QUEUE, connection_parameters
from moneyflow.platform.database import Database
from moneyflow.platform.settings import Settings
from moneyflow.platform.telemetry.health import serve_health
from moneyflow.platform.telemetry.start import begin
from workers import handlers
from workers.claims.heartbeat import Heartbeat
from workers.intake.acks import Credit
from workers.intake.consumer import JobMessage, JobsBroker, declare_actors
from workers.intake.delivery import Delivery
from workers.intake.prefetch import PrefetchPolicy
from workers.intake.ready_list import ReadyListSource
from workers.runtime import Runtime

log = structlog.get_logger(__name__)


_EXIT_HANGING = 70


class WorkerProcess:
    """Everything that one worker process is made of, wired in one place."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        name = f"{socket.gethostname()}:{os.getpid()}"
        waker = Notifier(settings)
        self.database = Database(
            settings.conninfo("app", application_name=f"worker {name}"),
            size=settings.worker_threads + 1,
            on_work=waker,
        )
        self.finishes = Database(
            settings.conninfo("app", application_name=f"worker {name} finishes"),
            size=1,
            on_work=waker,
            by_keys=True,
        )
        self.mailer = Mailer(settings, mail_templates.render)
        self.presence = Heartbeat(
            settings.conninfo("app", application_name=f"worker {name} presence"),
            name=name,
            lease_seconds=settings.worker_lease_seconds,
            parent_died=self.stopping.set,
            each_beat=self._end_when_a_job_hangs,
        )
        self.runtime = Runtime(
            database=self.database,
            finishes=self.finishes,
            presence=self.presence,
            handlers=handlers.registry,
            tools=handlers.Tools(settings=settings, mailer=self.mailer),
        )
        credit = Credit()
        pace = PrefetchPolicy(
            self.runtime,
            self.runtime.window,
            threads=settings.worker_threads,
            has_credit=credit.is_spare,
        )
        self.broker = JobsBroker(
            connection_parameters(settings, name=f"worker {name}"),
            arrived=self.runtime.window.arrived,
            wanted_window=pace.wanted,
            hoards=pace.hoards,
            gather_seconds=pace.gather_seconds,
            give_back=self.runtime.give_back,
            credit=credit,
        )
        declare_actors(self.broker, self.runtime.run)
        self.broker.add_middleware(_HandBack(self.runtime))
        self.worker = dramatiq.Worker(self.broker, worker_threads=settings.worker_threads)
        self.shortcut = ReadyListSource(
            ReadyJobs(settings),
            self.runtime.window,
            pace,
            wait_until_freed=self.runtime.wait_until_freed,
            is_open=lambda: self.is_consuming() is None,
            start=self._start_without_message,
        )

    def run(self) -> None:
        """Work until asked to stop; then finish what runs and hand back the rest."""
        gc.collect()
        gc.freeze()  # PERF: what is there from the start stays, and is not looked through again and again.
        self.database.open()
        self.finishes.open()
        self.presence.start()
        self.runtime.start()
        self.worker.start()
        self.shortcut.start()
        log.info("worker_ready", worker=self.presence.name, threads=self.settings.worker_threads)
        self.stopping.wait()
        log.info("worker_stopping")
        self.shortcut.stop()
        self.worker.stop(timeout=int(self.settings.worker_shutdown_seconds * 1000))
        self.broker.close()
        self.presence.stop()
        self.mailer.close()
        self.database.close()
        self.finishes.close()
        log.info("worker_stopped")

    def is_alive(self) -> str | None:
        """Say what does not move any more: a thread that died, or the heart."""
        dead = [thread.name for thread in self.threads() if thread.ident is not None and not thread.is_alive()]
        if dead and not self.stopping.is_set():
            return f"threads died: {', '.join(dead)}"
        silent = time.monotonic() - self.presence.last_beat
        if silent > max(60.0, 4 * self.settings.worker_lease_seconds):
            return f"no heartbeat reached Postgres for {silent:.0f} seconds"
        return None

    def is_consuming(self) -> str | None:
        """Say whether messages can come in."""
        for thread in self.worker.consumers.values():
            connection = getattr(thread.consumer, "connection", None)
            if connection is None or not connection.is_open:
                return "no connection with RabbitMQ"
        return None

    def _end_when_a_job_hangs(self) -> None:
        """End the process when a handler does not come back long after its time limit: no thread can be killed.

        Its job is taken over as a suspect, and hangs elsewhere no more often than it has attempts; its neighbours begin
        anew and lose none.
        """
        hanging = self.runtime.attempts.overdue()
        if hanging is not None:
            log.critical("job_hangs", job_id=str(hanging.id), job=hanging.kind, consequence="this worker ends")
            os._exit(_EXIT_HANGING)

    def threads(self) -> list[threading.Thread]:
        """Return the threads without which this worker does nothing."""
        own = [self.runtime.attempts.finisher.thread, self.shortcut.thread]
        return [*self.worker.workers, *self.worker.consumers.values(), *own]

    def _start_without_message(self, delivery: Delivery) -> None:
        """Let the next free thread have it, in the order of the priorities."""
        self.worker.consumers[JOBS_QUEUE].handle_message(JobMessage(delivery))


class _HandBack(dramatiq.Middleware):
    """Hands back what no thread has started, before the messages go back to RabbitMQ and on to other workers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def before_consumer_thread_shutdown(self, *_: object) -> None:
        """All worker threads have stopped by now, or had their time."""
        self._runtime.stop()


def main() -> int:
    """Run one worker process until SIGTERM or SIGINT."""
    settings = begin("worker")
    assert workers.jobs, "importing it declares the handlers"
    process = WorkerProcess(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stopping.set())
    serve_health(
        host=settings.bind_host,
        port=settings.worker_metrics_port,
        alive=[process.is_alive],
        ready=[process.database.check, process.is_consuming],
    )
    process.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
