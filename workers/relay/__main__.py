"""`python -m workers.relay`: the relay process; publishes while it is the leader, stands by while it is not."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pika
import psycopg
import redis.asyncio
import redis.exceptions
import structlog

import moneyflow.jobs  # noqa: F401 - declares the schedules and the limits that the leader looks after
from moneyflow.platform.brokers.rabbitmq import connection_parameters
from moneyflow.platform.brokers.redis import channel, client_options
from moneyflow.platform.database import Database, is_transient
from moneyflow.platform.events.reporter import Health, Reporter
from moneyflow.platform.telemetry.health import serve_health
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.platform.telemetry.start import begin, listening, run
from moneyflow.settings import RelaySettings
from workers.relay.batches import BatchRelay
from workers.relay.events import EventRelay
from workers.relay.jobs import READY_LIST_FIRST_SECONDS, JobRelay
from workers.relay.leader import beat, leadership
from workers.relay.limits import Admission
from workers.relay.loop import Loop
from workers.relay.probes import Probes
from workers.relay.publisher import Publisher
from workers.relay.queue_depth import QueueDepths
from workers.relay.rescuer import LostMessageCheck, Rescuer
from workers.relay.schedules import ScheduleRelay
from workers.relay.statistics import Statistics

log = structlog.get_logger(__name__)

#: Seconds without a run after which a part hangs: the longest run waits for confirms and for Kafka.
_STUCK_SECONDS = 120.0
_RECONNECT_SECONDS = 0.5
#: Seconds that a stopping relay has: Kafka's producer, which sends what it holds, takes the longest.
_STOP_SECONDS = 15.0
_NOTIFICATIONS = {b"jobs", b"events", b"ready"}


class RelayProcess:
    """The relay, wired in one place: the parts of the leader, and the wait to become one."""

    def __init__(self, settings: RelaySettings) -> None:
        self.settings = settings
        self._loops: list[Loop] = []
        self._database = Database(self._conninfo("sessions"), size=3)
        self.health = Health(alive=[self.is_alive], ready=[self.is_ready], every_seconds=settings.health_check_seconds)
        self.reporter = Reporter(self._database)
        self.reporter.watch(self.health)
        self._moved = time.monotonic()

    async def run(self, stopping: asyncio.Event) -> None:
        """Lead or stand by until asked to stop; start over after each outage of Postgres."""
        self._database.open()
        with self.reporter:
            await self._run(stopping)
        self._database.close()

    async def _run(self, stopping: asyncio.Event) -> None:
        lead = asyncio.create_task(self._lead_for_ever())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({lead, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if lead.done():
            lead.result()
        lead.cancel()
        await asyncio.gather(lead, return_exceptions=True)

    def is_alive(self) -> str | None:
        """Return which part no longer runs."""
        now = time.monotonic()
        if not self._loops and now - self._moved > _STUCK_SECONDS:
            return f"neither leading nor standing by for {now - self._moved:.0f} seconds"
        stuck = [loop.name for loop in self._loops if now - loop.last_run > _STUCK_SECONDS]
        return f"no run for {_STUCK_SECONDS:.0f} seconds: {', '.join(stuck)}" if stuck else None

    def _move(self) -> None:
        self._moved = time.monotonic()

    def is_ready(self) -> str | None:
        """Return why Postgres does not answer, or None; the relay waits for brokers, and the metrics show it."""
        with psycopg.connect(self._conninfo("readiness")) as connection:
            connection.execute("select 1")
        return None

    async def _lead_for_ever(self) -> None:
        while True:
            try:
                async with leadership(self._conninfo("leader"), on_poll=self._move) as connection:
                    await self._lead(connection)
            except* psycopg.Error as group:
                if not all(is_transient(error) for error in group.exceptions):
                    raise
                server, error = self.settings.postgres_address, str(group.exceptions[0])
                log.warning("postgres_unavailable", server=server, error=error)
            self._loops = []
            self._move()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _lead(self, connection: "psycopg.AsyncConnection[psycopg.rows.DictRow]") -> None:
        publisher = Publisher(self._rabbitmq("relay"))
        depths = QueueDepths(Publisher(self._rabbitmq("relay depths")))
        event_relay = EventRelay(connection, self.settings)
        jobs = Loop("jobs", JobRelay(connection, publisher).run_once)
        events = Loop("events", event_relay.run_once)
        limits = Loop("limits", Admission(connection, admitted=jobs.wake, warn=self.reporter.warn).run_once)
        statistics = Statistics(connection, depths, self.reporter.warn)
        batches = BatchRelay(self._database, freed=jobs.wake)
        schedules = ScheduleRelay(self._database, enqueued=jobs.wake)
        loops = [
            jobs,
            events,
            limits,
            Loop("batches", batches.run_once),
            Loop("schedules", schedules.run_once),
            Loop("rescue", Rescuer(connection).run_once),
            Loop("lost messages", LostMessageCheck(connection, depths).run_once),
            Loop("statistics", statistics.run_once),
            Loop("probes", Probes(connection).run_once),
            Loop("heartbeat", partial(beat, connection)),
        ]
        self._loops = loops
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop.run(), name=loop.name)
                group.create_task(self._listen(jobs, events, limits), name="wake")
        finally:
            statistics.clear()
            publisher.close()
            depths.close()
            await event_relay.close()

    async def _listen(self, jobs: Loop, events: Loop, limits: Loop) -> None:
        """Wake the parts when a process has committed work; while Redis is down they poll.

        Jobs on the ready list are left to the workers for a moment.
        """
        settings = self.settings
        while True:
            client = redis.asyncio.Redis(**client_options(settings), health_check_interval=10)
            try:
                async with client, client.pubsub() as subscription:
                    await subscription.subscribe(channel(settings))
                    async for message in subscription.listen():
                        notified = _notifications(message)
                        if b"jobs" in notified:
                            jobs.wake()
                            limits.wake()
                        if b"events" in notified:
                            events.wake()
                        if b"ready" in notified:
                            jobs.wake_after(READY_LIST_FIRST_SECONDS)
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning(
                    "wake_channel_lost",
                    server=settings.redis_address,
                    error=str(error),
                    consequence="the relay polls until it is back",
                )
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _rabbitmq(self, name: str) -> pika.ConnectionParameters:
        return connection_parameters(self.settings, login="relay", name=name)

    def _conninfo(self, part: str) -> str:
        return self.settings.conninfo("relay", application_name=f"relay {part} {process_name()}")


def _notifications(message: Mapping[str, Any]) -> set[bytes]:
    """Return the notifications of a message; all of them when it has none, as after a lost subscription."""
    named = set(message["data"].split()) if message["type"] == "message" else set()
    return named if named and named <= _NOTIFICATIONS else _NOTIFICATIONS


def _exit_now() -> None:
    """Exit although a call still waits for a server that does not answer, as psycopg does on a lost connection."""
    log.warning("relay_stop_timed_out", consequence="the next leader publishes again what was in flight")
    os._exit(0)


async def _serve(settings: RelaySettings) -> None:
    process = RelayProcess(settings)
    stopping = asyncio.Event()
    cut_off = threading.Timer(_STOP_SECONDS, _exit_now)
    cut_off.daemon = True

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            cut_off.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with listening("RELAY_METRICS_PORT", host=settings.bind_host, port=settings.relay_metrics_port):
        serve_health(
            host=settings.bind_host,
            port=settings.relay_metrics_port,
            alive=process.health.alive,
            ready=process.health.ready,
        )
    await process.run(stopping)


def main() -> int:
    """Run one relay until SIGTERM or SIGINT."""
    settings = begin("relay", RelaySettings)
    asyncio.run(_serve(settings))
    log.info("relay_stopped")
    return 0


if __name__ == "__main__":
    run(main)
