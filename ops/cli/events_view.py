"""How events are printed: some lines each, of which no id is cut, or JSON."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from rich.text import Text

from moneyflow.platform.json_text import dumps
from moneyflow.platform.telemetry.masking import masked, masked_text
from ops.cli.output import console, note, plain, print_json, shown

if TYPE_CHECKING:
    from moneyflow.platform.events.found import FoundEvent


def print_event(event: "FoundEvent", *, as_json: bool) -> None:
    """Print one event of many that follow; as JSON on one line."""
    if as_json:
        sys.stdout.buffer.write(dumps(_as_json(event), default=str, option=orjson.OPT_UTC_Z) + b"\n")
        sys.stdout.buffer.flush()
        return
    for line in _lines(event):
        console().print(line)


def print_found(
    events: "Sequence[FoundEvent]", *, source: str, limit: int, as_json: bool, read: int | None, records: int | None
) -> None:
    """Print what a search has found; one more than the limit says that there are more."""
    if as_json:
        found = [_as_json(event) for event in events[:limit]]
        print_json({"from": source, "read": read, "records": records, "events": found})
    else:
        for event in events[:limit]:
            print_event(event, as_json=False)
        if not events:
            console().print(Text("none", style="dim"))
    if len(events) > limit:
        note("and more; see them with a higher --limit, or choose fewer with the filters")


def _as_json(event: "FoundEvent") -> dict[str, Any]:
    return asdict(event) | {"data": _data(event)}


def _lines(event: "FoundEvent") -> Iterator[Text]:
    yield plain(f"{shown(event.time)}  {event.type or 'no event'}  {event.subject or ''}".rstrip(), style="bold")
    named = [
        ("", event.id),
        ("request ", event.correlation_id),
        ("by ", event.actor_id),
        ("", f"{event.topic} {event.partition} @ {event.offset}"),
        ("", event.problem),
    ]
    for name, value in named:
        if value is not None:
            yield plain(f"  {name}{value}")
    data = _data(event)
    if data not in (None, {}):
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)  # With spaces, to wrap at.
        yield plain(f"  {text}", style="dim")


def _data(event: "FoundEvent") -> Any:
    """Return the data with secrets and addresses masked; events have none, and a bad record may have anything."""
    return masked_text(event.data) if isinstance(event.data, str) else masked(event.data)
