"""Pick-up latency: from the return of the commit, or publish, to the first line of the handler on an idle worker.

One worker process with four threads, one job at a time, and a random pause after each, so that the jobs do not fall in
step with a poll. Client and handler read the same machine's clock.
"""

import random
import time
from collections import defaultdict

from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, quantile, short
from ops.dev.bench.jobs.systems import DRAMATIQ, MONEY_FLOW, PROCRASTINATE
from ops.dev.bench.jobs.trial import Trial, new_tags

_SYSTEMS = (MONEY_FLOW, DRAMATIQ, PROCRASTINATE)
_SAMPLES_PART = 0.04
_WARM_UP = 20
_LONGEST_SECONDS = 30.0
_PAUSE_SECONDS = (0.005, 0.03)


def run(plan: Plan) -> Outcome:
    """Measure all systems in turn."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    samples = plan.share(_SAMPLES_PART)
    for trial in plan.rounds_in_turn(*_SYSTEMS):
        waits = wait_milliseconds(trial, samples)
        found[trial.system.name].append(waits)
        plan.log(f"  p50 {quantile(waits, 0.5):.1f} ms, p99 {quantile(waits, 0.99):.1f} ms")
    rows: list[Row] = [
        {
            "system": name,
            **{column: median([quantile(waits, part) for waits in rounds]) for column, part in _QUANTILES.items()},
            "p50_ms_rounds": [short(quantile(waits, 0.5)) for waits in rounds],
            "p99_ms_rounds": [short(quantile(waits, 0.99)) for waits in rounds],
        }
        for name, rounds in found.items()
    ]
    return Outcome(
        title=f"Milliseconds from commit to start on an idle worker; {samples} jobs a round, one by one",
        rows=rows,
        targets=_targets({row["system"]: row for row in rows}),
    )


_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}


def wait_milliseconds(trial: Trial, samples: int) -> list[float]:
    """Return the milliseconds that each job waited, without the first 20, during which connections open."""
    trial.reset()
    trial.start_workers(processes=1)
    waits = [_wait(trial) for _ in range(_WARM_UP + samples)]
    return waits[_WARM_UP:]


def _wait(trial: Trial) -> float:
    trial.listener.clear()
    tags = new_tags(1)
    enqueued = trial.enqueue("noop", tags, together=1)
    (mark,) = trial.listener.wait_for(tags, seconds=_LONGEST_SECONDS)
    time.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - jitter, not a secret
    return 1000 * (mark.began - enqueued.returned[tags[0]])


def _targets(rows: dict[str, Row]) -> list[Target]:
    ours, theirs = rows[MONEY_FLOW.name], rows[PROCRASTINATE.name]
    return [
        Target(what="pick-up p50, ms", value=ours["p50_ms"], bound=7, at="most"),
        Target(what="pick-up p99, ms", value=ours["p99_ms"], bound=20, at="most"),
        Target(what="pick-up p50 against Procrastinate's, ms", value=ours["p50_ms"], bound=theirs["p50_ms"], at="most"),
        Target(what="pick-up p99 against Procrastinate's, ms", value=ours["p99_ms"], bound=theirs["p99_ms"], at="most"),
    ]
