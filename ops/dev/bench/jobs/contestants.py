"""Who takes part: how each system's worker processes are started as its users start them, and what ends its clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import LiteralString

from ops.dev.bench.peers.addresses import PROCRASTINATE_DATABASE

PROCESSES = 2
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where a system that keeps its jobs in Postgres says what is done, and until when."""

    database: str | None = None
    #: Returns the number of finished jobs and the moment of the last end, in seconds since the epoch.
    finished: LiteralString
    #: Returns how many jobs no worker could find yet.
    unpublished: LiteralString


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One system as its users run it; `module` holds its client."""

    name: str
    module: str
    #: What `python -m` starts; `{n}` is the number of the process, or how many there are when it `forks`.
    command: tuple[str, ...]
    forks: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_relay: bool = False
    #: How many jobs it enqueues together where it can choose.
    together: int = 1
    #: The part of the usual number of jobs that it gets, so that every measurement takes a while and none very long.
    part: float = 1.0
    end_to_end_part: float = 1.0
    #: Its queue in RabbitMQ.
    queue: str | None = None
    ledger: Ledger | None = None

    def commands(self, processes: int) -> list[tuple[str, ...]]:
        """Return the commands that make so many worker processes."""
        numbers = [processes] if self.forks else range(processes)
        return [tuple(word.replace("{n}", str(number)) for word in self.command) for number in numbers]


MONEY_FLOW = Contestant(
    name="Money Flow",
    module="ops.dev.bench.peers.money_flow",
    command=("ops.dev.bench.peers.money_flow_worker",),
    environment={"WORKER_THREADS": str(THREADS)},
    needs_relay=True,
    together=100,
    queue="jobs",
    ledger=Ledger(
        finished="select count(*), extract(epoch from max(finished_at))::float from jobs where state = 'succeeded'",
        unpublished="select count(*) from jobs where state = 'scheduled'",
    ),
)


def _dramatiq(name: str, variant: str, *, part: float, end_to_end_part: float, **environment: str) -> Contestant:
    module = "ops.dev.bench.peers.dramatiq_app"
    return Contestant(
        name=name,
        module=module,
        command=("dramatiq", module, "--processes", "{n}", "--threads", str(THREADS)),
        forks=True,
        environment={"BENCH_VARIANT": variant, **environment},
        part=part,
        end_to_end_part=end_to_end_part,
        queue=f"bench_dramatiq_{variant}",
    )


def _celery(name: str, variant: str) -> Contestant:
    module = "ops.dev.bench.peers.celery_app"
    # Without talk among its workers, which costs it, and does nothing here.
    options = ("--pool", "threads", "--concurrency", str(THREADS), "--without-gossip", "--without-mingle")
    return Contestant(
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
PROCRASTINATE = Contestant(
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
    ledger=Ledger(
        database=PROCRASTINATE_DATABASE,
        finished="select count(*), extract(epoch from max(at))::float from procrastinate_events "
        "where type = 'succeeded'",
        unpublished="select 0",
    ),
)
