"""`python -m ops.dev.bench.bloat`: whether the jobs' tables stay as small as their rows, however many jobs run.

Waves of jobs pass through the job store's own statements: enqueued, published, claimed, finished. In parallel to each
wave a purge deletes the jobs of the wave before the last one. After each wave the tables and indexes are measured, on a
server of its own with the product's configuration, where only autovacuum vacuums. Without the purge (`--no-purge`) the
tables grow, and the run fails.
"""

import json
import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psycopg
import structlog
import typer
from psycopg.rows import DictRow, dict_row
from rich.console import Console
from rich.table import Table

from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform import retention
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.retention import JOBS
from moneyflow.platform.jobs.store import claims as claim
from moneyflow.platform.jobs.store import completion, heartbeat
from moneyflow.platform.jobs.store.completion import Success
from moneyflow.platform.jobs.store.publication import QUERIES
from moneyflow.settings import AllSettings, load_all
from ops import migrate
from ops.dev.stack import packages
from ops.dev.stack.home import State, forget
from ops.dev.stack.servers import Postgres

_RESULTS = Path(__file__).parent / "results" / "bloat.json"
_ENQUEUED, _PUBLISHED, _IN_HAND = 1000, 500, 50
#: The largest size of the second half, at most, in sizes of the second quarter, when the waves have settled.
_BOUND = 1.5
_MIB = 1024 * 1024
_WIDTH = 140
_FOR_GOOD = timedelta(days=365)

_SIZES = """
select name, pg_table_size(name::regclass)::float8 as table_bytes,
    pg_indexes_size(name::regclass)::float8 as index_bytes,
    (select n_dead_tup from pg_stat_user_tables where relname = name)::float8 as dead_rows,
    (select autovacuum_count from pg_stat_user_tables where relname = name)::int as vacuums
from unnest(array['jobs', 'job_attempts']) as name
"""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Rows and sizes at the end of a wave."""

    number: int
    rows: int
    table_mib: float
    index_mib: float
    attempts_mib: float
    dead_rows: int
    vacuums: int
    jobs_per_second: float
    slowest_claim_ms: float
    purged: int

    @property
    def mib(self) -> float:
        """Return the size of all tables and indexes."""
        return self.table_mib + self.index_mib + self.attempts_mib


class Run:
    """The waves of one run, on one server."""

    def __init__(self, settings: AllSettings) -> None:
        self._stack = ExitStack()
        self.settings = settings
        self.database = Database(settings.conninfo("worker", application_name="bench"), size=2)
        self.database.open()
        self._stack.callback(self.database.close)
        self._relay = self._connection(settings, "relay")
        self._worker = self._connection(settings, "app")
        self._worker.execute("set synchronous_commit = off")  # As the workers' own.
        self._number = heartbeat.register(self._worker, name="bench", lease_seconds=3600)

    def close(self) -> None:
        """Close every connection."""
        self._stack.close()

    def wave(self, jobs: int) -> float:
        """Enqueue, publish, claim and finish `jobs` jobs; return the milliseconds of the slowest claim."""
        slowest = 0.0
        for _ in range(jobs // _ENQUEUED):
            with self.database.transaction() as session:
                ids = enqueue_many(session, [SendEmail(template="welcome", user_id=new_id()) for _ in range(_ENQUEUED)])
            for part in _parts(ids, _PUBLISHED):
                self._relay.execute(QUERIES["mark_published"], {"ids": part, "fences": [0] * len(part)})
            for part in _parts(ids, _IN_HAND):
                slowest = max(slowest, self._claim_and_finish(part))
        return slowest * 1000

    def measure(self) -> dict[str, DictRow]:
        """Return the sizes of each table, and the number of its autovacuums."""
        return {row["name"]: row for row in self._relay.execute(_SIZES).fetchall()}

    def rows(self) -> int:
        """Return the number of jobs in the table."""
        row = self._relay.execute("select count(*) as jobs from jobs").fetchone()
        return int(row["jobs"]) if row else 0

    def now(self) -> datetime:
        """Return the time by Postgres's clock."""
        row = self._relay.execute("select clock_timestamp() as now").fetchone()
        assert row is not None
        moment: datetime = row["now"]
        return moment

    def _claim_and_finish(self, ids: Sequence[UUID]) -> float:
        began = time.perf_counter()
        claims = claim.claim(self._worker, ids, worker=self._number)
        seconds = time.perf_counter() - began
        with self.database.transaction() as session:
            done = completion.succeed_many(
                session, [Success(claim=one, result={"sent": True}) for one in claims], worker="bench"
            )
        if len(done) != len(ids):
            raise RuntimeError(f"of {len(ids)} jobs {len(done)} were finished")
        return seconds

    def _connection(self, settings: AllSettings, role: str) -> psycopg.Connection[DictRow]:
        conninfo = settings.conninfo(role, application_name="bench")
        return self._stack.enter_context(psycopg.connect(conninfo, autocommit=True, row_factory=dict_row))


@contextmanager
def _server(console: Console) -> Iterator[AllSettings]:
    """Run a migrated PostgreSQL for the block, and delete it afterwards."""
    packages.ensure(console)
    home = Path(tempfile.mkdtemp(prefix="money-flow-bloat-", dir="/var/tmp"))
    server = Postgres(State(home))
    try:
        server.start()
        server.wait_ready()
        settings = load_all(server.settings() | {"SECRET_KEY": "0" * 32})
        migrate.upgrade_schema(settings)
        yield settings
    finally:
        server.kill()
        forget(home)


def _waves(run: Run, *, jobs: int, waves: int, purges: bool) -> Iterator[Wave]:
    """Run the waves one after another, each in parallel to a purge of the wave before the last one."""
    began = [run.now()]
    for number in range(1, waves + 1):
        began.append(run.now())
        kept = began[-1] - began[-2]
        purged: list[int] = []
        purge = threading.Thread(target=lambda k=kept, p=purged: p.append(_purge(run, k)))
        if purges and number > 1:
            purge.start()
        start = time.perf_counter()
        slowest = run.wave(jobs // waves)
        seconds = time.perf_counter() - start
        if purge.is_alive():
            purge.join()
        yield _wave(run, number, slowest, sum(purged), jobs / waves / seconds)


def _wave(run: Run, number: int, slowest: float, purged: int, jobs_per_second: float) -> Wave:
    sizes = run.measure()
    jobs, attempts = sizes["jobs"], sizes["job_attempts"]
    return Wave(
        number=number,
        rows=run.rows(),
        table_mib=round(jobs["table_bytes"] / _MIB, 1),
        index_mib=round(jobs["index_bytes"] / _MIB, 1),
        attempts_mib=round((attempts["table_bytes"] + attempts["index_bytes"]) / _MIB, 1),
        dead_rows=int(jobs["dead_rows"] + attempts["dead_rows"]),
        vacuums=jobs["vacuums"] + attempts["vacuums"],
        jobs_per_second=round(jobs_per_second),
        slowest_claim_ms=round(slowest, 1),
        purged=purged,
    )


def _purge(run: Run, kept: timedelta) -> int:
    rule = replace(JOBS, parameters=lambda _: {"kept": kept, "discarded_kept": _FOR_GOOD})
    with run.database.transaction() as session:
        deleted: int = retention.purge(session, run.settings, seconds=600, rules=[rule])["jobs"]
    return deleted


def _parts(ids: Sequence[UUID], size: int) -> Iterator[list[UUID]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def main(
    jobs: Annotated[int, typer.Option(help="number of jobs in all waves together")] = 1_000_000,
    waves: Annotated[int, typer.Option(help="number of waves")] = 20,
    *,
    purge: Annotated[bool, typer.Option(help="without it the tables grow, and the run fails")] = True,
) -> None:
    """Run the waves, print a line for each, and write the figures as JSON; exit with 1 when the tables grew."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(width=_WIDTH)
    found: list[Wave] = []
    with _server(console) as settings:
        run = Run(settings)
        try:
            for wave in _waves(run, jobs=jobs, waves=waves, purges=purge):
                found.append(wave)
                console.print(f"wave {wave.number} of {waves}: {wave.rows} rows, {wave.mib:.0f} MiB", highlight=False)
        finally:
            run.close()
    raise typer.Exit(_report(console, found, jobs=jobs, is_kept=purge))


def _report(console: Console, waves: Sequence[Wave], *, jobs: int, is_kept: bool) -> int:
    columns = list(asdict(waves[0]))
    table = Table(title=f"{jobs} jobs, each wave purged during the second wave after it")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for wave in waves:
        table.add_row(*(f"{value}" for value in asdict(wave).values()))
    console.print(table)
    settled = max(wave.mib for wave in waves[len(waves) // 4 : len(waves) // 2])
    later = max(wave.mib for wave in waves[len(waves) // 2 :])
    is_bounded = later <= settled * _BOUND
    result = "bounded" if is_bounded else "GROWING"
    console.print(f"largest in the second quarter: {settled:.0f} MiB; in the second half: {later:.0f} MiB: {result}")
    if is_kept:
        figures = {
            "jobs": jobs,
            "largest_mib_in_the_second_quarter": settled,
            "largest_mib_in_the_second_half": later,
            "jobs_per_second": statistics.median(wave.jobs_per_second for wave in waves),
            "waves": [asdict(wave) for wave in waves],
        }
        _RESULTS.parent.mkdir(exist_ok=True)
        _RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if is_bounded else 1


if __name__ == "__main__":
    typer.run(main)
