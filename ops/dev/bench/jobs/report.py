"""What a part of the benchmark leaves: a table on the terminal and the same rows as JSON, under which conditions."""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from ops.dev.bench.jobs.contestants import PROCESSES, THREADS
from ops.dev.bench.jobs.ground import Ground

Row = dict[str, Any]

RESULTS = Path(__file__).parent.parent / "results"
_PACKAGES = ("dramatiq", "celery", "procrastinate", "pika", "psycopg")
_DIGITS_FROM = 100.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure that is promised, and whether this run holds it."""

    what: str
    value: float
    bound: float
    at: Literal["least", "most"]

    @property
    def holds(self) -> bool:
        """Say whether the value is on the right side of the bound."""
        return self.value >= self.bound if self.at == "least" else self.value <= self.bound


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one part measured; lists in a row are its rounds and stand in the JSON alone."""

    title: str
    rows: Sequence[Row]
    targets: Sequence[Target] = ()


def conditions(ground: Ground, **more: object) -> Row:
    """Return what the figures depend on."""
    (postgres,) = ground.sql("show server_version")
    return {
        "cpus": os.cpu_count(),
        "python": python_version(),
        "postgres": postgres[0].split()[0],
        "rabbitmq": ground.rabbitmq_version(),
        **{name: version(name) for name in _PACKAGES},
        "processes": PROCESSES,
        "threads": THREADS,
        **more,
    }


def median(values: Sequence[float]) -> float:
    """Return the median, short enough to be read."""
    return short(statistics.median(values))


def short(value: float) -> float:
    """Return the figure with no more digits than it deserves."""
    return round(value) if value >= _DIGITS_FROM else float(f"{value:.3g}")


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which that part of the values lies; part 1 is the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def show(console: Console, outcome: Outcome, given: Mapping[str, object]) -> None:
    """Print the table, a column a system, then the targets, and what they depend on."""
    names = [name for name, value in outcome.rows[0].items() if name != "system" and not isinstance(value, list)]
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
    console.print("measured with " + ", ".join(f"{name} {value}" for name, value in given.items()), style="dim")


def keep(folder: Path, name: str, outcome: Outcome, given: Mapping[str, object]) -> None:
    """Write the JSON of a part."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "title": outcome.title,
        "conditions": given,
        "rows": outcome.rows,
        "targets": [
            {**asdict(target), "value": short(target.value), "holds": target.holds} for target in outcome.targets
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
