"""Growth: the figures of jobs with millions of rows in the table, as ratios to an empty table in the same run.

Two databases on one server take turns in each round: the product's, which is emptied before each measurement, and a
filled copy of it (10 million finished jobs, 1 million scheduled and 100,000 failed, by `--finished`, `--scheduled` and
`--failed`). A ratio is how fast the filled one is: its rate divided by the empty one's, or the other way round for a
latency. Then, on the filled one alone: the queries of `moneyflow failed groups` and `moneyflow queue status`, and the
rows that a purge deletes per second while workers run jobs. An eighth of the finished jobs is old enough for the purge.
The default numbers need several gigabytes in `/var/tmp`.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from moneyflow.platform import retention
from moneyflow.platform.database import Database, Session
from moneyflow.platform.jobs.failed import groups
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.jobs.retention import JOBS
from moneyflow.platform.jobs.store import status
from moneyflow.settings import AllSettings, load_all
from ops.dev.bench.jobs.filling import fill
from ops.dev.bench.jobs.pickup import wait_milliseconds
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.priorities import measure as measure_urgent
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, quantile, short
from ops.dev.bench.jobs.systems import MONEY_FLOW
from ops.dev.bench.jobs.throughput import drain, end_to_end
from ops.dev.bench.jobs.trial import Trial

FILLED_DATABASE = "money_flow_filled"
_RATES = ("noop_drain", "insert_drain")
_LATENCIES = ("pickup_p50_ms", "urgent_single_p50_ms", "urgent_burst_p99_ms")
_PICKUP_PART, _URGENT_PART = 0.04, 0.01
#: Runs of each query, of which the median counts.
_QUERY_RUNS = 5
#: Seconds after which the purge stops; it is measured over this time at most.
_PURGE_SECONDS = 20.0
_RATIO, _GROUP_SECONDS, _STATUS_SECONDS, _PURGED_PER_SECOND = 0.9, 1.0, 0.5, 500

assert MONEY_FLOW.table is not None
EMPTY = replace(MONEY_FLOW, name="empty table")
FILLED = replace(
    MONEY_FLOW,
    name="filled table",
    environment={**MONEY_FLOW.environment, "POSTGRES_DB": FILLED_DATABASE},
    table=replace(MONEY_FLOW.table, database=FILLED_DATABASE),
)

Figures = Mapping[str, Sequence[float]]


def run(plan: Plan) -> Outcome:
    """Fill a copy of the database, then measure both in turn."""
    began = time.monotonic()
    fill(plan.testbed, FILLED_DATABASE, plan.rows, plan.log)
    plan.log(f"filled in {time.monotonic() - began:.0f} s: {_mebibytes(plan):,} MiB")
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in plan.rounds_in_turn(EMPTY, FILLED):
        figures = _round(trial, plan)
        for name, value in figures.items():
            found[trial.system.name][name].append(value)
        plan.log("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    with _database(plan) as database:
        alone = _queries(database) | _purge(plan, database)
    filled = _row(FILLED.name, found[FILLED.name]) | ratios(found[FILLED.name], found[EMPTY.name]) | alone
    rows = plan.rows
    return Outcome(
        title=f"Jobs in a table with {rows.finished:,} finished, {rows.scheduled:,} scheduled, {rows.failed:,} failed",
        rows=[filled | {"database_mib": _mebibytes(plan)}, _row(EMPTY.name, found[EMPTY.name])],
        targets=targets(filled),
    )


def ratios(filled: Figures, empty: Figures) -> Row:
    """Return how fast the filled table is, compared with the empty one: 1 is as fast, 0.5 half as fast."""
    rates = {name: median(filled[name]) / median(empty[name]) for name in _RATES}
    latencies = {name: median(empty[name]) / median(filled[name]) for name in _LATENCIES}
    return {f"{name}_ratio": short(value) for name, value in (rates | latencies).items()}


def targets(filled: Row) -> list[Target]:
    """Return the promises about the filled table, with the figures of its row."""
    return [
        *(
            Target(what=f"{name.replace('_', ' ')}, of the empty table's", value=filled[f"{name}_ratio"], bound=_RATIO,
                   at="least")
            for name in (*_RATES, *_LATENCIES)
        ),
        Target(what="failures grouped, seconds", value=filled["groups_seconds"], bound=_GROUP_SECONDS, at="most"),
        Target(what="queue status, seconds", value=filled["status_seconds"], bound=_STATUS_SECONDS, at="most"),
        Target(what="rows purged per second while jobs run", value=filled["purged_per_second"],
               bound=_PURGED_PER_SECOND, at="least"),
    ]  # fmt: skip


def _round(trial: Trial, plan: Plan) -> dict[str, float]:
    figures = {}
    for kind in ("noop", "insert"):
        figures[f"{kind}_drain"] = drain(trial, kind, plan.jobs)
        trial.stop_workers()
    waits = wait_milliseconds(trial, plan.share(_PICKUP_PART))
    trial.stop_workers()
    urgent = measure_urgent(trial, backlog=plan.jobs, urgent=plan.share(_URGENT_PART))
    return figures | {
        "pickup_p50_ms": quantile(waits, 0.5),
        "pickup_p99_ms": quantile(waits, 0.99),
        "urgent_single_p50_ms": urgent["single_p50_ms"],
        "urgent_burst_p99_ms": urgent["burst_p99_ms"],
    }


def _row(name: str, figures: Figures) -> Row:
    row: Row = {"system": name}
    for figure, values in figures.items():
        row |= {figure: median(values), f"{figure}_rounds": [short(value) for value in values]}
    return row


def _queries(database: Database) -> Row:
    """Return the seconds of the operators' queries, on an open connection."""
    return {
        "groups_seconds": _seconds(database, lambda session: groups.groups(session, Filter())),
        "status_seconds": _seconds(database, status.counts),
    }


def _seconds(database: Database, query: Callable[[Session], object]) -> float:
    taken = []
    for _ in range(_QUERY_RUNS):
        with database.transaction() as session:
            session.execute("select 1")
            began = time.perf_counter()
            query(session)
            taken.append(time.perf_counter() - began)
    return short(statistics.median(taken))


def _purge(plan: Plan, database: Database) -> Row:
    """Purge old jobs while workers run no-ops; return the rows and the jobs per second meanwhile."""
    purged: list[float] = []

    def purge() -> None:
        began = time.perf_counter()
        with database.transaction() as session:
            rows: int = retention.purge(session, _settings(plan), seconds=_PURGE_SECONDS, rules=[JOBS])["jobs"]
        purged.append(rows / (time.perf_counter() - began))

    plan.log("purge while jobs run")
    with Trial(plan.testbed, plan.listener, FILLED) as trial:
        drain(trial, "noop", plan.share(0.1))  # Starts the workers.
        thread = threading.Thread(target=purge, name="purge")
        thread.start()
        rates = [end_to_end(trial, "noop", plan.jobs)]
        while thread.is_alive():
            rates.append(end_to_end(trial, "noop", plan.jobs))
        thread.join()
    return {"purged_per_second": short(purged[0]), "jobs_per_second_during_purge": median(rates)}


@contextmanager
def _database(plan: Plan) -> Iterator[Database]:
    """Connect with the filled database as the workers do."""
    database = Database(_settings(plan).conninfo("worker", application_name="bench growth"), size=1)
    database.open()
    try:
        yield database
    finally:
        database.close()


def _settings(plan: Plan) -> AllSettings:
    return load_all(plan.testbed.environment | {"POSTGRES_DB": FILLED_DATABASE})


def _mebibytes(plan: Plan) -> int:
    ((size,),) = plan.testbed.sql("select pg_database_size(current_database()) / 1048576", database=FILLED_DATABASE)
    return int(size)
