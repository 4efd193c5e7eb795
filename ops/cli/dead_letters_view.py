"""How dead letters of events are printed: groups, lists, and one with its event; secrets are masked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from moneyflow.platform.sinks.dead_letters.groups import Detail, Group, Page
from moneyflow.platform.telemetry.masking import masked, masked_text
from ops.cli.output import console, more, plain, print_json, prose, table

#: Columns of the row that are shown, in this order; empty ones are left out.
_FIELDS = (
    "id", "sink", "state", "event_type", "event_id", "subject", "correlation_id", "topic", "partition", "kafka_offset",
    "key", "attempts", "failed_at", "due_at", "due_by", "resolved_at", "group", "error_class", "error_message",
)  # fmt: skip


def print_groups(found: Sequence[Group], *, limit: int, as_json: bool) -> None:
    """Print groups of dead letters."""
    total = sum(one.dead_letters for one in found)
    if as_json:
        shown = [asdict(one) for one in found[:limit]]
        print_json({"total": total, "in_groups": len(found), "groups": shown})
        return
    columns = (
        "group", "sink", "type", "dead", "failed", "first (UTC)", "last (UTC)", "error", prose("message"), "sample",
    )  # fmt: skip
    rows = [
        (g.group, g.sink, g.event_type, g.dead_letters, _times(g.most_attempts), g.first_at, g.last_at, g.error_class,
         g.message, g.sample_id)
        for g in found[:limit]
    ]  # fmt: skip
    console().print(table(*columns, rows=rows, title=f"{total} dead letters, in {len(found)} groups"))
    more(len(found), limit)


def print_page(page: Page, *, state: str, limit: int, as_json: bool) -> None:
    """Print dead letters of a state."""
    if as_json:
        print_json({"total": page.total, "dead_letters": page.dead_letters})
        return
    names = (
        "id", "sink", "event_type", "failed_at", "attempts", "topic", "partition", "kafka_offset", "error_class",
        "error_message",
    )  # fmt: skip
    columns = (
        "id", "sink", "type", "failed at (UTC)", "attempts", "topic", "partition", "offset", "error", prose("message"),
    )  # fmt: skip
    rows = [tuple(one[name] for name in names) for one in page.dead_letters]
    console().print(table(*columns, rows=rows, title=f"{page.total} {state}"))
    more(page.total, limit)


def print_dead_letter(detail: Detail, *, as_json: bool) -> None:
    """Print a dead letter: fields, the event, and the operations on it."""
    row, event = _without_bytes(detail), _event(detail.dead_letter["value"])
    if as_json:
        print_json({**row, "event": event, "waiting": detail.waiting, "operations": detail.operations})
        return
    out = console()
    rows = [(name, row[name]) for name in _FIELDS if row[name] not in {None, ""}]
    rows += [("waiting for it", f"{detail.waiting} records of its key")] if detail.waiting else []
    out.print(table("field", prose("value"), rows=rows))
    out.print(plain("event", style="bold"))
    if isinstance(event, str):
        out.print(plain(event))
    else:
        out.print_json(data=event, indent=2)
    if detail.operations:
        names = ("done_at", "verb", "result", "asked_by", "reason", "id")
        columns = ("when", "verb", "result", "by", prose("reason"), "operation")
        operations = [tuple(operation[name] for name in names) for operation in detail.operations]
        out.print(table(*columns, rows=operations, title="operations"))


def _without_bytes(detail: Detail) -> dict[str, Any]:
    key = detail.dead_letter["key"]
    text = None if key is None else bytes(key).decode("utf-8", "backslashreplace")
    return {**{name: value for name, value in detail.dead_letter.items() if name != "value"}, "key": text}


def _event(value: bytes | None) -> Any:
    """Return the record's value as JSON where it is JSON, else as text; secrets and addresses are masked."""
    if value is None:
        return None
    try:
        return masked(orjson.loads(bytes(value)))
    except orjson.JSONDecodeError:
        return masked_text(bytes(value).decode("utf-8", "backslashreplace"))


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"up to {attempts} times"
