"""`python -m consumers SINK`: one consumer process of a sink; scale by starting more, up to one per partition."""

import asyncio
import gc
import signal
import sys

import structlog

import consumers.sinks
from consumers.companion import companions_of
from consumers.runtime import Consumer
from consumers.sink import Sink, batch_of, registry
from moneyflow.platform.database import Database
from moneyflow.platform.events.reporter import Health, Reporter
from moneyflow.platform.telemetry.health import serve_health
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.platform.telemetry.start import begin, listening, run
from moneyflow.settings import CONSUMER_SETTINGS, ConsumerSettings

log = structlog.get_logger(__name__)

#: Objects that may be made and kept before the collector looks; a batch has some ten thousand.
_COLLECTED_EVERY = 50_000


async def _serve(settings: ConsumerSettings, sink: Sink) -> None:
    database = Database(
        settings.conninfo(sink.role, application_name=f"consumer {sink.name} {process_name()}"),
        size=batch_of(sink).together + 1,  # And one for the health check.
        schema=sink.schema,
    )
    database.open()
    reporter = Reporter(database)
    consumer = Consumer(settings, sink, database, report_error=reporter.error)
    companions = companions_of(sink, settings, report_error=reporter.error)
    progress = consumer.progress
    health = Health(
        alive=[progress.is_alive, *(one.is_alive for one in companions)],
        ready=[database.check, progress.is_ready, *(one.is_ready for one in companions)],
        every_seconds=settings.health_check_seconds,
        instance=f"{sink.name} {process_name()}",
    )
    reporter.watch(health, conditions=[progress.lagging])
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with listening("CONSUMER_METRICS_PORT", host=settings.bind_host, port=settings.consumer_metrics_port):
        serve_health(
            host=settings.bind_host,
            port=settings.consumer_metrics_port,
            alive=health.alive,
            ready=health.ready,
        )
    with reporter:
        await asyncio.gather(consumer.run(stopping), *(one.run(stopping) for one in companions))
    database.close()


def _collect_rarely() -> None:
    """Let the garbage collector look rarely, and never at what is there from the start.

    PERF: the objects of a batch are no garbage while it is written, and end with their last reference; a quarter of the
    time went to looking at them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, 20, 100)


def main() -> int:
    """Run one consumer until SIGTERM or SIGINT."""
    assert consumers.sinks, "the import declares the sinks"
    name = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 - the program and one name
    if name not in registry:
        print(f"usage: python -m consumers SINK, with one of {', '.join(sorted(registry))}", file=sys.stderr)
        return 2
    sink = registry[name]()
    _collect_rarely()
    settings = begin("consumer", CONSUMER_SETTINGS.get(name, ConsumerSettings), roles=(sink.role,))
    asyncio.run(_serve(settings, sink))
    log.info("consumer_stopped", sink=name)
    return 0


if __name__ == "__main__":
    run(main)
