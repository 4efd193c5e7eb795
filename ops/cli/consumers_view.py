"""How sinks are printed: partitions with their lag, and what a skip or a rewind means."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from moneyflow.platform.operations.reports import Preview
from moneyflow.platform.operations.sources import Order
from moneyflow.platform.sinks.positions.rows import SKIP
from ops.cli.output import console, print_json, prose, shown, table

if TYPE_CHECKING:  # PERF: aiokafka takes longer to import than most commands take to run.
    from moneyflow.platform.sinks.positions.overview import Partition
    from moneyflow.platform.sinks.positions.use_cases import Consequence

_STYLES = {"stopped": "red", "parked": "red", "no consumer": "yellow", "behind": "yellow", "up to date": "green"}
_OF_A_REWIND = (
    "The sink ignores the records that it has and writes those that are missing, such as rows that were deleted from "
    "its tables. Dead letters: a reprocessed one that is still bad is dead again; a discarded one stays so."
)
_OF_A_SKIP = "The sink never sees the records that are skipped. What caused them is in Postgres still."


def print_overview(found: "Sequence[Partition]", *, as_json: bool) -> None:
    """Print the partitions of sinks."""
    if as_json:
        print_json({"partitions": [asdict(one) for one in found]})
        return
    columns = ("sink", "topic", "part", "state", "lag", "behind", "position", "end", "consumer", "host", prose("why"))
    rows = [
        (one.sink, one.topic, one.partition, Text(one.state, style=_STYLES[one.state]), one.lag, _age(one.lag_seconds),
         one.next_offset, one.newest, one.consumer.id if one.consumer else None,
         one.consumer.host if one.consumer else None, one.why)
        for one in found
    ]  # fmt: skip
    console().print(table(*columns, rows=rows))


def print_consequences(order: Order, preview: Preview, consequences: "Sequence[Consequence]", *, as_json: bool) -> None:
    """Print what the moves of an order mean, before they are made."""
    results = [one.outcome for one in preview.items]
    if as_json:
        moves = [_as_json(one) | asdict(outcome) for one, outcome in zip(consequences, results, strict=True)]
        print_json({"dry_run": True, "verb": order.verb, "results": preview.results, "moves": moves})
        return
    what = "skipped" if order.verb == SKIP else "read again"
    columns = ("position", "from", "to", what, "of them in Kafka", "result", prose("detail"), prose("dead letters"))
    rows = [
        (str(one.place), one.start, one.end, _count(one.records), _count(one.kept), outcome.result,
         outcome.detail or one.gap, _letters(one))
        for one, outcome in zip(consequences, results, strict=True)
    ]  # fmt: skip
    console().print(table(*columns, rows=rows, title=f"{order.verb} of {len(rows)} positions"))
    console().print(Text(_OF_A_SKIP if order.verb == SKIP else _OF_A_REWIND, style="dim"))


def _as_json(one: "Consequence") -> dict[str, Any]:
    return {
        **asdict(one.place),
        "from": one.start,
        "to": one.end,
        "records": one.records,
        "in_kafka": one.kept,
        "gap": one.gap,
        "dead_letters": one.dead_letters,
    }


def _count(records: int | None) -> str:
    return "unknown" if records is None else str(records)


def _letters(one: "Consequence") -> str:
    return ", ".join(f"{count} {state}" for state, count in one.dead_letters.items()) or shown(None)


def _age(seconds: float | None) -> str:
    return shown(None) if seconds is None else f"{seconds:.0f} s"
