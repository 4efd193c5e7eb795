"""`python -m ops.dev.bench.jobs [PART …]`: measure, print tables, write the figures to `ops/dev/bench/results/`.

It needs no running stack: it starts servers of its own, and removes them at its end.
"""

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import structlog
from rich.console import Console

from moneyflow.platform.telemetry.start import run
from ops.dev.bench.api import measure as api
from ops.dev.bench.events import measure as events
from ops.dev.bench.jobs import enqueuing, growth, pickup, priorities, report, throughput, whole
from ops.dev.bench.jobs.listener import Listener
from ops.dev.bench.jobs.plan import Plan, Rows
from ops.dev.bench.jobs.report import Outcome
from ops.dev.bench.jobs.testbed import BenchError, new_testbed

#: In the order in which they run.
_PARTS: dict[str, Callable[[Plan], Outcome]] = {
    "throughput": throughput.run,
    "enqueue": enqueuing.run,
    "pickup": pickup.run,
    "priorities": priorities.run,
    "api": api.run,
    "growth": growth.run,
    "events": events.run,
}
#: Benchmarks with numbers and a report of their own.
_OTHERS = {"replay": whole.replay, "wake": whole.wake, "journey": whole.journey, "waits": whole.waits}
NAMES = (*_PARTS, *_OTHERS)
#: Run only when they are asked for: they take minutes to fill a table or topics first.
_ON_REQUEST = {"growth", "events"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that were asked for; return 1 when one could not be measured, whatever the figures are."""
    asked = _asked(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(stderr=True)
    try:
        with new_testbed(console) as testbed, Listener(testbed.socket) as listener:
            plan = Plan(
                testbed=testbed,
                listener=listener,
                rounds=asked.rounds,
                jobs=asked.jobs,
                rows=Rows(finished=asked.finished, scheduled=asked.scheduled, failed=asked.failed),
                events=asked.events,
                backlog=asked.backlog,
                log=lambda line: console.print(line, highlight=False),
            )
            _run(console, plan, asked.parts or [name for name in NAMES if name not in _ON_REQUEST], asked.results)
    except BenchError as error:
        console.print(f"[red]the benchmark was aborted:[/] {error}")
        return 1
    return 0


def _run(console: Console, plan: Plan, parts: Sequence[str], results: Path) -> None:
    for part in parts:
        console.rule(part)
        began = time.monotonic()
        try:
            if part in _OTHERS:
                _OTHERS[part](plan.testbed, results)
                continue
            outcome = _PARTS[part](plan)
        except BenchError as error:
            raise BenchError(f"{part}: {error}\n{plan.testbed.ends_of_logs()}") from error
        conditions = report.conditions(
            plan.testbed, rounds=plan.rounds, jobs=plan.jobs, seconds=round(time.monotonic() - began)
        )
        conditions |= outcome.conditions
        report.show(Console(), outcome, conditions)
        report.write(results, part, outcome, conditions)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.dev.bench.jobs", description=__doc__)
    add = parser.add_argument
    add(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"some of: {', '.join(NAMES)} (all but {' and '.join(sorted(_ON_REQUEST))})",
    )
    add("--rounds", type=int, default=3, help="rounds, in each of which every system runs; medians are shown (3)")
    add("--jobs", type=int, default=5000, help="jobs of one measurement; smaller ones take a part of it (5000)")
    add("--results", type=Path, default=report.RESULTS, help="the folder for the JSON (ops/dev/bench/results)")
    add("--events", type=int, default=200_000, help="events: events of one measurement (200000)")
    add("--backlog", type=int, default=0, help="events: a backlog, such as 1000000, to measure memory with (none)")
    for name, rows in asdict(Rows()).items():
        add(f"--{name}", type=int, default=rows, help=f"growth: {name} jobs in the filled table ({rows})")
    asked = parser.parse_args(arguments)
    unknown = [part for part in asked.parts if part not in NAMES]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if min(asked.rounds, asked.jobs, asked.events) < 1:
        parser.error("--rounds, --jobs and --events must be at least 1")
    if min(asked.finished, asked.scheduled, asked.failed, asked.backlog) < 0:
        parser.error("--finished, --scheduled, --failed and --backlog must be at least 0")
    return asked


if __name__ == "__main__":
    run(main)
