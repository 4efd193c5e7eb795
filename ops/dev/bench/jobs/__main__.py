"""`python -m ops.dev.bench.jobs [PART …]`: measure, print tables, keep the figures in `ops/dev/bench/results/`.

It needs nothing that runs: it starts servers of its own, and leaves nothing of them behind.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from ops.dev.bench.jobs import enqueuing, pickup, priorities, report, throughput, whole
from ops.dev.bench.jobs.ground import BenchError, fresh_ground
from ops.dev.bench.jobs.listener import Listener
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome

#: In the order in which they run.
_PARTS: dict[str, Callable[[Plan], Outcome]] = {
    "throughput": throughput.run,
    "enqueue": enqueuing.run,
    "pickup": pickup.run,
    "priorities": priorities.run,
}
#: Benchmarks with numbers and a report of their own.
_OTHERS = {"replay": whole.replay, "wake": whole.wake, "journey": whole.journey}
NAMES = (*_PARTS, *_OTHERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when something could not be measured, whether or not the figures please."""
    asked = _asked(arguments)
    console = Console(stderr=True)
    try:
        with fresh_ground(console) as ground, Listener(ground.socket) as listener:
            plan = Plan(
                ground=ground,
                listener=listener,
                rounds=asked.rounds,
                jobs=asked.jobs,
                tell=lambda line: console.print(line, highlight=False),
            )
            _run(console, plan, asked.parts or NAMES, asked.results)
    except BenchError as error:
        console.print(f"[red]the benchmark was broken off:[/] {error}")
        return 1
    return 0


def _run(console: Console, plan: Plan, parts: Sequence[str], results: Path) -> None:
    for part in parts:
        console.rule(part)
        began = time.monotonic()
        try:
            if part in _OTHERS:
                _OTHERS[part](plan.ground, results)
                continue
            outcome = _PARTS[part](plan)
        except BenchError as error:
            raise BenchError(f"{part}: {error}\n{plan.ground.ends_of_logs()}") from error
        given = report.conditions(
            plan.ground, rounds=plan.rounds, jobs=plan.jobs, seconds=round(time.monotonic() - began)
        )
        report.show(Console(), outcome, given)
        report.keep(results, part, outcome, given)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.dev.bench.jobs", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(NAMES)} (all of them)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds taken in turn; medians are told (3)")
    parser.add_argument(
        "--jobs", type=int, default=5000, help="jobs of a measurement; what else is counted follows (5000)"
    )
    parser.add_argument(
        "--results", type=Path, default=report.RESULTS, help="the folder for the JSON (ops/dev/bench/results)"
    )
    asked = parser.parse_args(arguments)
    unknown = [part for part in asked.parts if part not in NAMES]
    if unknown or asked.rounds < 1 or asked.jobs < 1:
        parser.error(
            f"there is no part {', '.join(unknown)}; there are {', '.join(NAMES)}"
            if unknown
            else "--rounds and --jobs must be at least 1"
        )
    return asked


if __name__ == "__main__":
    sys.exit(main())
