"""Urgent jobs under a backlog: priority 9 after thousands of jobs of priority 0, each of which sleeps 10 ms.

Fifty urgent jobs arrive one by one, then fifty at once, while 2 processes with 4 threads work on the backlog. The wait
ends at the first line of the handler. It begins, for a job that comes alone, at the return of its commit or publish;
for those that come at once, when the client gets the request for all of them: one transaction, or fifty publishes.
`efficiency` is the rate of all jobs, divided by threads ÷ run time. `under_backlog` is the share of the urgent jobs
that began while the backlog lasted; below 1 the figures mean little.

Money Flow orders by the job's priority; Dramatiq by `x-max-priority` and, among the messages that a process has
prefetched, by the actor's priority; Celery by `x-max-priority`, acking late and prefetching one message a thread.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, quantile, short
from ops.dev.bench.jobs.systems import CELERY_PRIORITIES, DRAMATIQ_PRIORITIES, MONEY_FLOW, PROCESSES, THREADS
from ops.dev.bench.jobs.testbed import BenchError
from ops.dev.bench.jobs.throughput import rate_of_all
from ops.dev.bench.jobs.trial import Enqueued, Trial, new_tags
from ops.dev.bench.peers.client import EnqueueRequest
from ops.dev.bench.peers.work import SLEEP_SECONDS
from ops.dev.stack.processes import wait_until

#: Promised: urgent jobs at once start as soon as Dramatiq's within five per cent, and no later than Celery's.
_AS_SOON = {DRAMATIQ_PRIORITIES.name: 1.05}
_SYSTEMS = (MONEY_FLOW, DRAMATIQ_PRIORITIES, CELERY_PRIORITIES)
_URGENT_PART = 0.01
_EVERY_SECONDS = 0.07
_SETTLING_SECONDS = 0.3
_LONGEST_SECONDS = 60.0

Figures = dict[str, float]


def run(plan: Plan) -> Outcome:
    """Measure all systems in turn."""
    found: dict[str, list[Figures]] = defaultdict(list)
    for trial in plan.rounds_in_turn(*_SYSTEMS):
        figures = measure(trial, backlog=plan.jobs, urgent=plan.share(_URGENT_PART))
        found[trial.system.name].append(figures)
        plan.log("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    rows = [_row(name, rounds) for name, rounds in found.items()]
    return Outcome(
        title=f"Milliseconds that priority 9 waits under a backlog of {plan.jobs} jobs of 10 ms",
        rows=rows,
        targets=_targets({row["system"]: row for row in rows}),
    )


def measure(trial: Trial, *, backlog: int, urgent: int) -> Figures:
    """Return the waits of urgent jobs under a backlog; the workers are left running."""
    trial.reset()
    low, single, burst = new_tags(backlog), new_tags(urgent), new_tags(urgent)
    trial.enqueue("sleep", low)
    trial.wait_published()
    trial.start_workers()
    if not wait_until(lambda: len({mark.pid for mark in trial.listener.seen()}) == PROCESSES, seconds=_LONGEST_SECONDS):
        raise BenchError(f"{trial.system.name}: not every worker process has begun a job")
    time.sleep(_SETTLING_SECONDS)
    one_by_one = _one_by_one(trial, single)
    time.sleep(_SETTLING_SECONDS)
    at_once = trial.enqueue("sleep", burst, urgent=True)
    marks, ended = trial.wait_ended(range(low[0], burst[-1] + 1))

    began = {mark.tag: mark.began for mark in marks}
    last_low = max(began[tag] for tag in low)
    under_backlog = [began[tag] < last_low for tag in (*single, *burst)]
    return {
        **_quantiles("single", _waits(one_by_one, began)),
        **_quantiles("burst", [1000 * (began[tag] - at_once.began) for tag in burst]),
        "efficiency": rate_of_all(marks, ended) * SLEEP_SECONDS / (PROCESSES * THREADS),
        "under_backlog": sum(under_backlog) / len(under_backlog),
    }


def _one_by_one(trial: Trial, tags: range) -> Enqueued:
    (client,) = trial.clients(1)
    client.send(
        EnqueueRequest(kind="sleep", first_tag=tags[0], count=len(tags), every_seconds=_EVERY_SECONDS, urgent=True)
    )
    answer = client.answer()
    return Enqueued(began=answer["called"][0], returned=dict(zip(tags, answer["returned"], strict=True)))


def _waits(enqueued: Enqueued, began: dict[int, float]) -> list[float]:
    return [1000 * (began[tag] - returned) for tag, returned in enqueued.returned.items()]


def _quantiles(name: str, waits: Sequence[float]) -> Figures:
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
            Target(what=f"at once, p99 against {name}'s, ms", value=ours["burst_p99_ms"],
                   bound=_AS_SOON.get(name, 1.0) * row["burst_p99_ms"], at="most")
            for name, row in rows.items()
        ),
        Target(what="backlog, of the ideal rate", value=ours["efficiency"], bound=0.9, at="least"),
    ]  # fmt: skip
