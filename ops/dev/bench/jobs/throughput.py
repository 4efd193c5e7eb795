"""Throughput: jobs per second of no-ops and of one insert each, with 2 processes of 4 threads; and their memory.

*Drain*: all jobs are enqueued before the workers start. The clock starts when every worker process has begun its first
job, and jobs that ended before do not count, so no process start is in the rate. *End to end*: one client enqueues
while the workers run, Money Flow and Procrastinate 100 jobs in a transaction, the others one by one as they must. The
clock starts with the first enqueue, so Money Flow's relay is in the rate.

The clock ends, for Money Flow and Procrastinate, with the last committed row of a finished job; for the others, which
have no such row, with the return of the last handler. Every handler marks its begin and end in memory, the same way in
all systems (`ops/dev/bench/peers/marks.py`). A run in which a job is missing or ran twice is an error. Money Flow's
insert commits together with the end of its job, a peer's alone on a connection of its thread. Each system logs to a
file with its default level: none writes a line for a job that succeeds.
"""

from collections import defaultdict
from collections.abc import Sequence

import psutil

from ops.dev.bench.jobs.listener import Mark
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, short
from ops.dev.bench.jobs.systems import (
    CELERY,
    DRAMATIQ,
    DRAMATIQ_CONFIRMED,
    MONEY_FLOW,
    PROCESSES,
    PROCRASTINATE,
    THREADS,
)
from ops.dev.bench.jobs.trial import Trial, new_tags

_MIB = 1024 * 1024
_SYSTEMS = (MONEY_FLOW, DRAMATIQ, DRAMATIQ_CONFIRMED, CELERY, PROCRASTINATE)

Figures = dict[str, list[float]]


def run(plan: Plan) -> Outcome:
    """Measure all systems in turn."""
    found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    for trial in plan.rounds_in_turn(*_SYSTEMS):
        figures = _round(trial, plan.jobs)
        for name, value in figures.items():
            found[trial.system.name][name].append(value)
        plan.log("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    rows = [_row(name, figures, found[DRAMATIQ.name]) for name, figures in found.items()]
    return Outcome(
        title=f"Jobs a second, {PROCESSES} processes with {THREADS} threads; ratios to {DRAMATIQ.name}",
        rows=rows,
        targets=_targets(found),
    )


def drain(trial: Trial, kind: str, jobs: int) -> float:
    """Enqueue, then start the workers; return jobs per second. The workers are left running."""
    trial.reset()
    tags = new_tags(jobs)
    trial.enqueue(kind, tags)
    trial.wait_published()
    trial.start_workers()
    marks, ended = trial.wait_ended(tags)
    return rate_of_all(marks, ended)


def end_to_end(trial: Trial, kind: str, jobs: int) -> float:
    """Enqueue while the workers run; return jobs per second from the first enqueue on."""
    trial.reset()
    tags = new_tags(jobs)
    enqueued = trial.enqueue(kind, tags)
    _, ended = trial.wait_ended(tags)
    return jobs / (ended - enqueued.began)


def rate_of_all(marks: Sequence[Mark], ended: float) -> float:
    """Return jobs per second from when every process had begun a job."""
    firsts: dict[int, float] = {}
    for mark in marks:
        firsts.setdefault(mark.pid, mark.began)
    all_there = max(firsts.values()) if len(firsts) == PROCESSES else marks[0].began
    return sum(mark.ended > all_there for mark in marks) / (ended - all_there)


def memory(trial: Trial) -> tuple[float, float]:
    """Return MiB of each worker process after the load: its RSS, and its share of the PSS of all processes."""
    pids = {mark.pid for mark in trial.listener.seen()}
    rss = sum(psutil.Process(pid).memory_info().rss for pid in pids) / len(pids)
    family = [psutil.Process(worker.pid) for worker in trial.workers]
    family += [child for main in list(family) for child in main.children(recursive=True)]
    pss = sum(process.memory_full_info().pss for process in family) / PROCESSES
    return rss / _MIB, pss / _MIB


def _round(trial: Trial, jobs: int) -> dict[str, float]:
    drained = max(1, int(jobs * trial.system.part))
    passed = max(1, int(jobs * trial.system.end_to_end_part))
    figures = {"noop_drain": drain(trial, "noop", drained), "noop_end_to_end": end_to_end(trial, "noop", passed)}
    figures["rss_mib"], figures["pss_mib"] = memory(trial)
    trial.stop_workers()
    figures["insert_drain"] = drain(trial, "insert", drained)
    figures["insert_end_to_end"] = end_to_end(trial, "insert", passed)
    return figures


def _row(name: str, figures: Figures, base: Figures) -> Row:
    row: Row = {"system": name}
    for kind in ("noop_drain", "noop_end_to_end", "insert_drain", "insert_end_to_end"):
        row[kind] = median(figures[kind])
        row[f"{kind}_ratio"] = short(median(figures[kind]) / median(base[kind]))
        row[f"{kind}_rounds"] = [short(value) for value in figures[kind]]
    return row | {name: median(figures[name]) for name in ("rss_mib", "pss_mib")}


def _targets(found: dict[str, Figures]) -> list[Target]:
    ours, theirs, slow = (found[system.name] for system in (MONEY_FLOW, DRAMATIQ, PROCRASTINATE))

    def ratio(kind: str, peer: Figures) -> float:
        return median(ours[kind]) / median(peer[kind])

    return [
        Target(what="no-op, drain, of Dramatiq", value=ratio("noop_drain", theirs), bound=1.0, at="least"),
        Target(what="no-op, drain, of Procrastinate", value=ratio("noop_drain", slow), bound=8.0, at="least"),
        Target(what="one insert, drain, of Dramatiq", value=ratio("insert_drain", theirs), bound=0.6, at="least"),
    ]
