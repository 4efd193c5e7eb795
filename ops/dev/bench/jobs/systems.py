"""The systems that are measured: how their users start worker processes, and which query shows what has finished."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import LiteralString

from ops.dev.bench.peers.addresses import PROCRASTINATE_DATABASE

PROCESSES = 2
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class JobTable:
    """The queries of a system that keeps its jobs in Postgres; `first_id` is the lowest id of the measurement."""

    #: None for the product's own database.
    database: str | None = None
    #: Returns the number of finished jobs and when the last one ended, in seconds since the epoch.
    finished: LiteralString
    #: Returns how many jobs are not yet where workers find them.
    unpublished: LiteralString


@dataclass(frozen=True, kw_only=True)
class System:
    """One job system as its users run it; `module` has its client."""

    name: str
    module: str
    #: The arguments of `python -m`; `{n}` is the number of the process, or the number of processes when it `forks`.
    command: tuple[str, ...]
    forks: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_relay: bool = False
    #: Jobs that it enqueues in one transaction, where it can choose.
    together: int = 1
    #: The part of the usual number of jobs that it gets, so that each measurement takes seconds and none takes minutes.
    part: float = 1.0
    end_to_end_part: float = 1.0
    #: Its queue in RabbitMQ.
    queue: str | None = None
    table: JobTable | None = None

    def commands(self, processes: int) -> list[tuple[str, ...]]:
        """Return the commands that start `processes` worker processes."""
        numbers = [processes] if self.forks else range(processes)
        return [tuple(word.replace("{n}", str(number)) for word in self.command) for number in numbers]


MONEY_FLOW = System(
    name="Money Flow",
    module="ops.dev.bench.peers.money_flow",
    command=("ops.dev.bench.peers.money_flow_worker",),
    environment={"WORKER_THREADS": str(THREADS)},
    needs_relay=True,
    together=100,
    queue="jobs",
    table=JobTable(
        finished="select count(*), extract(epoch from max(finished_at))::float from jobs "
        "where id >= %(first_id)s and state = 'succeeded'",
        unpublished="select count(*) from jobs where id >= %(first_id)s and state = 'scheduled'",
    ),
)


def _dramatiq(name: str, variant: str, *, part: float, end_to_end_part: float, **environment: str) -> System:
    module = "ops.dev.bench.peers.dramatiq_app"
    return System(
        name=name,
        module=module,
        command=("dramatiq", module, "--processes", "{n}", "--threads", str(THREADS)),
        forks=True,
        environment={"BENCH_VARIANT": variant, **environment},
        part=part,
        end_to_end_part=end_to_end_part,
        queue=f"bench_dramatiq_{variant}",
    )


def _celery(name: str, variant: str) -> System:
    module = "ops.dev.bench.peers.celery_app"
    # Without gossip among its workers, which costs time and has no use here.
    options = ("--pool", "threads", "--concurrency", str(THREADS), "--without-gossip", "--without-mingle")
    return System(
        name=name,
        module=module,
        command=("celery", "-A", module, "worker", *options, "-n", "bench{n}"),
        environment={"BENCH_VARIANT": variant},
        queue=f"bench_celery_{variant}",
    )


DRAMATIQ = _dramatiq("Dramatiq", "plain", part=2.0, end_to_end_part=1.0)
DRAMATIQ_CONFIRMED = _dramatiq(
    "Dramatiq, confirms, prefetch 256", "confirmed", part=1.0, end_to_end_part=0.3, dramatiq_queue_prefetch="256"
)
DRAMATIQ_PRIORITIES = _dramatiq("Dramatiq", "priorities", part=1.0, end_to_end_part=1.0)
CELERY = _celery("Celery, acks late, prefetch 4 a thread", "plain")
CELERY_PRIORITIES = _celery("Celery, acks late, prefetch 1 a thread", "priorities")
PROCRASTINATE = System(
    name="Procrastinate",
    module="ops.dev.bench.peers.procrastinate_app",
    command=(
        "procrastinate",
        "--app=ops.dev.bench.peers.procrastinate_app.app",
        "worker",
        "--concurrency",
        str(THREADS),
    ),
    together=100,
    part=0.2,
    end_to_end_part=0.2,
    table=JobTable(
        database=PROCRASTINATE_DATABASE,
        finished="select count(*), extract(epoch from max(at))::float from procrastinate_events "
        "where type = 'succeeded'",
        unpublished="select 0",
    ),
)
