"""`python -m workers.relay`: publish what is due while this process is the leader, stand by while it is not."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg
import redis.asyncio
import redis.exceptions
import structlog

from moneyflow.platform.brokers import notifier
from moneyflow.platform.brokers.rabbitmq import connection_parameters
from moneyflow.platform.database import Database, is_passing
from moneyflow.platform.settings import Settings
from moneyflow.platform.telemetry.health import serve_health
from moneyflow.platform.telemetry.start import begin
from workers.relay.batches import BatchRelay
from workers.relay.events import EventRelay
from workers.relay.jobs import NAMES_FIRST_SECONDS, JobRelay
from workers.relay.leader import beat, leadership
from workers.relay.limits import Admission
from workers.relay.loop import Loop
from workers.relay.probes import Probes
from workers.relay.publisher import Publisher
from workers.relay.queue_depth import QueueDepths
from workers.relay.rescuer import LostMessageCheck, Rescuer
from workers.relay.schedules import ScheduleRelay
from workers.relay.statistics import Statistics
from workers.relay.warnings import Warnings

log = structlog.get_logger(__name__)

#: A part that has not gone round for this long hangs: the longest turn waits for confirms and for Kafka.
_STUCK_SECONDS = 120.0
_RECONNECT_SECONDS = 0.5
#: Who is asked to stop has so long: the longest that may be worth while is Kafka's producer, which sends what it has.
_STOP_SECONDS = 15.0
_WORK = {b"jobs", b"events", b"ready"}


class RelayProcess:
    """The relay, wired together: the parts of the leader, and the wait to become one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._turns: list[Loop] = []
        self._database = Database(settings.conninfo("relay", application_name="relay sessions"), size=3)
        self._warnings = Warnings(self._database)
        self._moved = time.monotonic()

    async def run(self, stopping: asyncio.Event) -> None:
        """Lead or stand by until asked to stop, and begin anew whenever Postgres was away."""
        self._database.open()
        lead = asyncio.create_task(self._lead_for_ever())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({lead, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if lead.done():
            lead.result()
        lead.cancel()
        await asyncio.gather(lead, return_exceptions=True)
        self._database.close()

    def is_alive(self) -> str | None:
        """Say which part has stopped going round."""
        now = time.monotonic()
        if not self._turns and now - self._moved > _STUCK_SECONDS:
            return f"neither leading nor standing by for {now - self._moved:.0f} seconds"
        stuck = [t.name for t in self._turns if now - t.last_turn > _STUCK_SECONDS]
        return f"no turn for {_STUCK_SECONDS:.0f} seconds: {', '.join(stuck)}" if stuck else None

    def _move(self) -> None:
        self._moved = time.monotonic()

    def is_ready(self) -> str | None:
        """Say whether Postgres answers; brokers that are away are waited for and reported by the metrics."""
        with psycopg.connect(self._conninfo("readiness")) as connection:
            connection.execute("select 1")
        return None

    async def _lead_for_ever(self) -> None:
        while True:
            try:
                async with leadership(self._conninfo("leader"), on_poll=self._move) as connection:
                    await self._lead(connection)
            except* psycopg.Error as group:
                if not all(is_passing(error) for error in group.exceptions):
                    raise
                log.warning("waiting_for_postgres", error=str(group.exceptions[0]))
            self._turns = []
            self._move()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _lead(self, connection: "psycopg.AsyncConnection[psycopg.rows.DictRow]") -> None:
        publisher = Publisher(connection_parameters(self.settings, name="relay"))
        depths = QueueDepths(Publisher(connection_parameters(self.settings, name="relay depths")))
        event_relay = EventRelay(connection, self.settings)
        jobs = Loop("jobs", JobRelay(connection, publisher).turn)
        events = Loop("events", event_relay.turn)
        limits = Loop("limits", Admission(connection, admitted=jobs.wake).turn)
        statistics = Statistics(connection, depths, self._warnings)
        batches = BatchRelay(self._database, freed=jobs.wake)
        schedules = ScheduleRelay(self._database, enqueued=jobs.wake)
        turns = [
            jobs,
            events,
            limits,
            Loop("batches", batches.turn),
            Loop("schedules", schedules.turn),
            Loop("rescue", Rescuer(connection).turn),
            Loop("lost messages", LostMessageCheck(connection, depths).turn),
            Loop("statistics", statistics.turn),
            Loop("probes", Probes(connection).turn),
            Loop("heartbeat", partial(beat, connection)),
        ]
        self._turns = turns
        try:
            async with asyncio.TaskGroup() as group:
                for turn in turns:
                    group.create_task(turn.run(), name=turn.name)
                group.create_task(self._listen(jobs, events, limits), name="wake")
        finally:
            statistics.clear()
            publisher.close()
            depths.close()
            await event_relay.close()

    async def _listen(self, jobs: Loop, events: Loop, limits: Loop) -> None:
        """Wake the parts when somebody has committed work; while Redis is away they poll.

        Jobs that workers were told of by name are left to them for a moment.
        """
        settings = self.settings
        while True:
            client = redis.asyncio.Redis(
                host=settings.redis_host,
                port=settings.redis_port,
                username=settings.redis_user,
                password=settings.redis_password.get_secret_value(),
                db=settings.redis_db,
                health_check_interval=10,
            )
            try:
                async with client, client.pubsub() as subscription:
                    await subscription.subscribe(notifier.channel(settings))
                    async for message in subscription.listen():
                        work = _work(message)
                        if b"jobs" in work:
                            jobs.wake()
                            limits.wake()
                        if b"events" in work:
                            events.wake()
                        if b"ready" in work:
                            jobs.wake_after(NAMES_FIRST_SECONDS)
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning("wake_channel_lost", error=str(error), consequence="polling until it is back")
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _conninfo(self, part: str) -> str:
        return self.settings.conninfo("relay", application_name=f"relay {part}")


def _work(message: Mapping[str, Any]) -> set[bytes]:
    """Return what there is to do; everything when that is not known, as when it listens again and has missed some."""
    said = set(message["data"].split()) if message["type"] == "message" else set()
    return said if said and said <= _WORK else _WORK


def _end_anyway() -> None:
    """End while something still waits for a server that does not answer, as a lost connection makes psycopg do."""
    log.warning("relay_cut_off", consequence="what was under way is published again by the next leader")
    os._exit(0)


async def _serve(settings: Settings) -> None:
    process = RelayProcess(settings)
    stopping = asyncio.Event()
    cut_off = threading.Timer(_STOP_SECONDS, _end_anyway)
    cut_off.daemon = True

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            cut_off.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    serve_health(
        host=settings.bind_host,
        port=settings.relay_metrics_port,
        alive=[process.is_alive],
        ready=[process.is_ready],
    )
    await process.run(stopping)


def main() -> int:
    """Run one relay until SIGTERM or SIGINT."""
    settings = begin("relay")
    asyncio.run(_serve(settings))
    log.info("relay_stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
