"""How job kinds and lists of jobs are printed."""

from collections.abc import Sequence
from typing import Any

from ops.cli.output import console, note, print_json, prose, shown, table


def print_kinds(kinds: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print what the contracts say about the job kinds."""
    if as_json:
        print_json({"jobs": kinds})
        return
    columns = (
        "kind", "priority", "attempts", "time limit", "limit", "schedule", prose("unique"), prose("does"),
        prose("payload"),
    )  # fmt: skip
    console().print(table(*columns, rows=[_row(kind) for kind in kinds]))


def print_found(found: Sequence[dict[str, Any]], *, limit: int, as_json: bool) -> None:
    """Print the first `limit` jobs; one more than these says that there are more."""
    if as_json:
        print_json({"jobs": found[:limit]})
    else:
        columns = ("id", "kind", "state", "priority", "attempt", "enqueued", "due", "finished", prose("why"))
        console().print(table(*columns, rows=[_found_row(job) for job in found[:limit]]))
    if len(found) > limit:
        note("and more; see them with a higher --limit, or choose fewer with the filters")


def fields_of(kind: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and type of each field of a kind's payload; the name of an optional one ends with `?`."""
    return [(f"{field['name']}{'' if field['required'] else '?'}", field["type"]) for field in kind["fields"]]


def _row(kind: dict[str, Any]) -> tuple[object, ...]:
    payload = ", ".join(f"{name}: {type_name}" for name, type_name in fields_of(kind))
    name = kind["kind"] if kind["version"] == 1 else f"{kind['kind']} v{kind['version']}"
    limit = kind["limit"]["name"] if kind["limit"] else None
    attempts, seconds = kind["retry"]["attempts"], f"{kind['time_limit_seconds']} s"
    crons = ", ".join(schedule["cron"] for schedule in kind["schedules"])
    numbers = (kind["priority"], attempts, seconds)
    return (name, *numbers, limit, crons or None, _unique(kind["unique"]), kind["does"], payload)


def _unique(unique: dict[str, Any] | None) -> str | None:
    if unique is None:
        return None
    spans = [f"for {unique['for_seconds']:g} s"] if unique["for_seconds"] is not None else []
    spans += ["while unfinished"] if unique["while_unfinished"] else []
    return " and ".join(spans) or "for ever"


def _found_row(job: dict[str, Any]) -> tuple[object, ...]:
    why = job["parked_reason"] or (f"{job['error_class']}: {job['error_message']}" if job["error_class"] else None)
    state = f"{job['state']}, waits for {job['waits_for']}" if job["waits_for"] else job["state"]
    dates = (job["enqueued_at"], job["due_at"], job["finished_at"])
    attempt = f"{job['attempt']} of {job['max_attempts']}"
    return (job["id"], job["kind"], state, job["priority"], attempt, *dates, shown(why))
