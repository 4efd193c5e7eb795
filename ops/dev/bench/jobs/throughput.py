"""How many jobs a second, no-ops and one insert each, 2 processes with 4 threads; and what memory that takes.

*Drain*: all jobs lie enqueued before the workers start. The clock begins when every worker process has begun its first
job, and what was done before that does not count; so no start of a process is in the rate. *End to end*: one client
enqueues, Money Flow and Procrastinate a hundred in a transaction and the others one by one as they must, while the
workers run; the clock begins with the first enqueue, so Money Flow's relay is in the rate.

What ends the clock: for Money Flow and Procrastinate the last committed row that says that a job is done; for the
others, which have no such row, the return of the last handler. Every handler marks its begin and end in memory
(`ops/dev/bench/peers/marks.py`), the same way for all; a run in which a job is missing or ran twice does not count.
Inserts: Money Flow's commits together with the end of its job, a peer's by itself on a connection of its thread.
Everybody logs as it does by default, into a file: none of them writes a line for a job that succeeds.
"""

from collections import defaultdict
from collections.abc import Sequence

import psutil

from ops.dev.bench.jobs.contest import Contest, new_tags
from ops.dev.bench.jobs.contestants import (
    CELERY,
    DRAMATIQ,
    DRAMATIQ_CONFIRMED,
    MONEY_FLOW,
    PROCESSES,
    PROCRASTINATE,
    THREADS,
)
from ops.dev.bench.jobs.listener import Mark
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, short

_MIB = 1024 * 1024
_CONTESTANTS = (MONEY_FLOW, DRAMATIQ, DRAMATIQ_CONFIRMED, CELERY, PROCRASTINATE)

Figures = dict[str, list[float]]


def run(plan: Plan) -> Outcome:
    """Measure everybody in turn."""
    found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    for contest in plan.rounds_in_turn(*_CONTESTANTS):
        figures = _round(contest, plan.jobs)
        for name, value in figures.items():
            found[contest.contestant.name][name].append(value)
        plan.tell("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    rows = [_row(name, figures, found[DRAMATIQ.name]) for name, figures in found.items()]
    return Outcome(
        title=f"Jobs a second, {PROCESSES} processes with {THREADS} threads; ratios to {DRAMATIQ.name}",
        rows=rows,
        targets=_targets(found),
    )


def drain(contest: Contest, kind: str, jobs: int) -> float:
    """Enqueue, then start the workers; return jobs a second. The workers are left running."""
    contest.begin_anew()
    tags = new_tags(jobs)
    contest.enqueue(kind, tags)
    contest.wait_published()
    contest.start_workers()
    marks, ended = contest.wait_ended(tags)
    return rate_of_all(marks, ended)


def end_to_end(contest: Contest, kind: str, jobs: int) -> float:
    """Enqueue while the workers run; return jobs a second from the first enqueue on."""
    contest.begin_anew()
    tags = new_tags(jobs)
    enqueued = contest.enqueue(kind, tags)
    _, ended = contest.wait_ended(tags)
    return jobs / (ended - enqueued.began)


def rate_of_all(marks: Sequence[Mark], ended: float) -> float:
    """Return jobs a second from when every process was at work."""
    firsts: dict[int, float] = {}
    for mark in marks:
        firsts.setdefault(mark.pid, mark.began)
    all_there = max(firsts.values()) if len(firsts) == PROCESSES else marks[0].began
    return sum(mark.ended > all_there for mark in marks) / (ended - all_there)


def memory(contest: Contest) -> tuple[float, float]:
    """Return MiB for each worker process after the load: its own RSS, and its part of what the whole family takes."""
    pids = {mark.pid for mark in contest.listener.seen()}
    rss = sum(psutil.Process(pid).memory_info().rss for pid in pids) / len(pids)
    family = [psutil.Process(worker.pid) for worker in contest.workers]
    family += [child for main in list(family) for child in main.children(recursive=True)]
    pss = sum(process.memory_full_info().pss for process in family) / PROCESSES
    return rss / _MIB, pss / _MIB


def _round(contest: Contest, jobs: int) -> dict[str, float]:
    drained = max(1, int(jobs * contest.contestant.part))
    passed = max(1, int(jobs * contest.contestant.end_to_end_part))
    figures = {"noop_drain": drain(contest, "noop", drained), "noop_end_to_end": end_to_end(contest, "noop", passed)}
    figures["rss_mib"], figures["pss_mib"] = memory(contest)
    contest.stop_workers()
    figures["insert_drain"] = drain(contest, "insert", drained)
    figures["insert_end_to_end"] = end_to_end(contest, "insert", passed)
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
