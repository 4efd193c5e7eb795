"""What a backlog does to urgent jobs: priority 9 behind thousands of priority 0, each of which sleeps ten milliseconds.

Fifty urgent jobs arrive one by one, then fifty at once, while the backlog is worked off by 2 processes with 4 threads.
The wait is to the handler's first line: of what comes one by one from the return of its commit, or publish; of what
comes at once from when the client was asked for all of it: one transaction, or fifty publishes. `efficiency` is how
fast all of it was done, against threads ÷ run time. Money Flow decides by the job's priority; Dramatiq by
`x-max-priority` and, among what a process has prefetched, by the actor's own; Celery by `x-max-priority`, acking late
and prefetching one a thread. `behind` is the part of the urgent jobs that began while there was a backlog; below 1, the
figures say little.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

from ops.dev.bench.jobs.contest import Contest, Enqueued, new_tags
from ops.dev.bench.jobs.contestants import CELERY_PRIORITIES, DRAMATIQ_PRIORITIES, MONEY_FLOW, PROCESSES, THREADS
from ops.dev.bench.jobs.ground import BenchError
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, quantile, short
from ops.dev.bench.jobs.throughput import rate_of_all
from ops.dev.bench.peers.client import Wish
from ops.dev.bench.peers.work import SLEEP_SECONDS
from ops.dev.stack.processes import wait_until

_CONTESTANTS = (MONEY_FLOW, DRAMATIQ_PRIORITIES, CELERY_PRIORITIES)
_URGENT_PART = 0.01
_EVERY_SECONDS = 0.07
_SETTLING_SECONDS = 0.3
_LONGEST_SECONDS = 60.0

Figures = dict[str, float]


def run(plan: Plan) -> Outcome:
    """Measure everybody in turn."""
    found: dict[str, list[Figures]] = defaultdict(list)
    for contest in plan.rounds_in_turn(*_CONTESTANTS):
        figures = _round(contest, backlog=plan.jobs, urgent=plan.share(_URGENT_PART))
        found[contest.contestant.name].append(figures)
        plan.tell("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    rows = [_row(name, rounds) for name, rounds in found.items()]
    return Outcome(
        title=f"Milliseconds that priority 9 waits behind {plan.jobs} jobs of 10 ms: one by one, and many at once",
        rows=rows,
        targets=_targets({row["system"]: row for row in rows}),
    )


def _round(contest: Contest, *, backlog: int, urgent: int) -> Figures:
    contest.begin_anew()
    low, single, burst = new_tags(backlog), new_tags(urgent), new_tags(urgent)
    contest.enqueue("sleep", low)
    contest.wait_published()
    contest.start_workers()
    if not wait_until(
        lambda: len({mark.pid for mark in contest.listener.seen()}) == PROCESSES, seconds=_LONGEST_SECONDS
    ):
        raise BenchError(f"{contest.contestant.name}: not every worker process has begun a job")
    time.sleep(_SETTLING_SECONDS)
    one_by_one = _one_by_one(contest, single)
    time.sleep(_SETTLING_SECONDS)
    at_once = contest.enqueue("sleep", burst, urgent=True)
    marks, ended = contest.wait_ended(range(low[0], burst[-1] + 1))

    began = {mark.tag: mark.began for mark in marks}
    last_low = max(began[tag] for tag in low)
    behind = [began[tag] < last_low for tag in (*single, *burst)]
    return {
        **_told("single", _waits(one_by_one, began)),
        **_told("burst", [1000 * (began[tag] - at_once.began) for tag in burst]),
        "efficiency": rate_of_all(marks, ended) * SLEEP_SECONDS / (PROCESSES * THREADS),
        "behind": sum(behind) / len(behind),
    }


def _one_by_one(contest: Contest, tags: range) -> Enqueued:
    (client,) = contest.clients(1)
    client.ask(Wish(kind="sleep", first_tag=tags[0], count=len(tags), every_seconds=_EVERY_SECONDS, urgent=True))
    answer = client.answer()
    return Enqueued(began=answer["called"][0], returned=dict(zip(tags, answer["returned"], strict=True)))


def _waits(enqueued: Enqueued, began: dict[int, float]) -> list[float]:
    return [1000 * (began[tag] - returned) for tag, returned in enqueued.returned.items()]


def _told(name: str, waits: Sequence[float]) -> Figures:
    return {
        f"{name}_p50_ms": quantile(waits, 0.5),
        f"{name}_p99_ms": quantile(waits, 0.99),
        f"{name}_max_ms": quantile(waits, 1.0),
    }


def _row(name: str, rounds: Sequence[Figures]) -> Row:
    row: Row = {"system": name}
    for column in rounds[0]:
        row[column] = median([figures[column] for figures in rounds])
        row[f"{column}_rounds"] = [short(figures[column]) for figures in rounds]
    return row


def _targets(rows: dict[str, Row]) -> list[Target]:
    ours = rows.pop(MONEY_FLOW.name)
    return [
        Target(what="one by one, p99, ms", value=ours["single_p99_ms"], bound=1000 * SLEEP_SECONDS + 20, at="most"),
        *(
            Target(what=f"at once, p99 against {name}'s, ms", value=ours["burst_p99_ms"], bound=row["burst_p99_ms"],
                   at="most")
            for name, row in rows.items()
        ),
        Target(what="backlog, of the ideal rate", value=ours["efficiency"], bound=0.9, at="least"),
    ]  # fmt: skip
