"""Report of a part of the benchmark: a table on the terminal, and the same rows with their conditions as JSON."""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from ops.dev.bench.jobs.systems import PROCESSES, THREADS
from ops.dev.bench.jobs.testbed import Testbed

Row = dict[str, Any]

RESULTS = Path(__file__).parent.parent / "results"
_PACKAGES = ("dramatiq", "celery", "procrastinate", "pika", "psycopg")
_DIGITS_FROM = 100.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """A promised figure, and whether this run keeps it."""

    what: str
    value: float
    bound: float
    at: Literal["least", "most"]

    @property
    def holds(self) -> bool:
        """Return whether the value is on the right side of the bound."""
        return self.value >= self.bound if self.at == "least" else self.value <= self.bound


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Figures of one part; a list in a row has the values of each round, and is in the JSON only."""

    title: str
    rows: Sequence[Row]
    targets: Sequence[Target] = ()
    #: Conditions of this part alone.
    conditions: Mapping[str, object] = field(default_factory=dict)


def conditions(testbed: Testbed, **more: object) -> Row:
    """Return the conditions that the figures depend on: machine, versions, numbers."""
    (postgres,) = testbed.sql("show server_version")
    return {
        "cpus": os.cpu_count(),
        "python": python_version(),
        "postgres": postgres[0].split()[0],
        "rabbitmq": testbed.rabbitmq_version(),
        **{name: version(name) for name in _PACKAGES},
        "processes": PROCESSES,
        "threads": THREADS,
        **more,
    }


def median(values: Sequence[float]) -> float:
    """Return the median, rounded as by `short`."""
    return short(statistics.median(values))


def short(value: float) -> float:
    """Return the figure rounded to three digits."""
    return round(value) if value >= _DIGITS_FROM else float(f"{value:.3g}")


def quantile(values: Sequence[float], part: float) -> float:
    """Return the quantile: 0.5 is the median, 1 the largest value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def show(console: Console, outcome: Outcome, conditions: Mapping[str, object]) -> None:
    """Print the table with a column for each system, then the targets and the conditions."""
    figures = (item for row in outcome.rows for item in row.items())
    names = list(dict.fromkeys(name for name, value in figures if name != "system" and not isinstance(value, list)))
    table = Table("", title=outcome.title)
    for row in outcome.rows:
        table.add_column(row["system"], justify="right")
    for name in names:
        table.add_row(
            name.replace("_", " "), *("-" if row.get(name) is None else str(row[name]) for row in outcome.rows)
        )
    console.print(table)
    for target in outcome.targets:
        sign = "[green]✓[/]" if target.holds else "[red]✗[/]"
        console.print(f"{sign} {target.what}: {short(target.value)} (at {target.at} {short(target.bound)})")
    console.print("measured with " + ", ".join(f"{name} {value}" for name, value in conditions.items()), style="dim")


def write(folder: Path, name: str, outcome: Outcome, conditions: Mapping[str, object]) -> None:
    """Write the JSON of a part."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "title": outcome.title,
        "conditions": conditions,
        "rows": outcome.rows,
        "targets": [
            {**asdict(target), "value": short(target.value), "holds": target.holds} for target in outcome.targets
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
