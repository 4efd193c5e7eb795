"""How operations are printed: previews, reports with the items that need a look, sweeps, and canaries that failed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from moneyflow.crm.resync import CONTACTS
from moneyflow.platform.jobs.failed.dead_letters import Swept
from moneyflow.platform.jobs.failed.failed_jobs import JOBS
from moneyflow.platform.jobs.failed.refused_source import REFUSED_MESSAGES
from moneyflow.platform.jobs.failed.waiting_jobs import WAITING_JOBS
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.reports import Preview, Report
from moneyflow.platform.operations.sources import Order, Verification
from moneyflow.platform.sinks.dead_letters.source import DEAD_LETTERS
from moneyflow.platform.sinks.positions.rows import POSITIONS
from ops.cli.options import operation_id
from ops.cli.output import console, note, print_json, prose, table

#: The sources whose items are jobs.
_JOBS = frozenset({JOBS, WAITING_JOBS})
#: The word for an item of other sources, which have no jobs and no messages.
_WORDS = {DEAD_LETTERS: "dead_letter", CONTACTS: "person", POSITIONS: "place"}
#: The group of commands of other sources.
_GROUPS = {DEAD_LETTERS: "events dead-letter", CONTACTS: "crm", POSITIONS: "consumers"}
#: Items that are shown without being asked for.
_ITEMS_SHOWN = 20


def print_preview(order: Order, preview: Preview, *, as_json: bool) -> None:
    """Print the results that an order would have, and the items that it could not act on."""
    if as_json:
        items = [{**_named(one.source, one.item.item_id), **asdict(one.outcome)} for one in preview.items]
        messages = [item["message"] for item in items if item.get("message")]
        found = {"dry_run": True, "verb": order.verb, "results": preview.results, "items": items}
        print_json(found | ({"messages": messages} if order.sources == (REFUSED_MESSAGES,) else {}))
        return
    title = f"{order.verb} of {len(preview.items)} items would have these results; nothing was changed"
    console().print(table("result", "items", rows=list(preview.results.items()), title=title))
    left = [one for one in preview.items if one.outcome.result not in preview.done]
    _print_items([(one.item.item_id, one.outcome.result, one.outcome.detail) for one in left[:_ITEMS_SHOWN]])


def print_report(report: Report, *, as_json: bool, swept: Swept | None = None, every_item: bool = False) -> None:
    """Print an operation's results; for people only the items that need a look, unless every item is asked for."""
    if as_json:
        print_json({**_as_json(report), **({"letters": asdict(swept)} if swept else {})})
        return
    operation = report.operation
    if operation["state"] == "stopped":
        _print_canary(report)
    title = f"{operation['verb']} {operation['id']}: {operation['state']}, by {operation['asked_by']}"
    console().print(table("result", "items", rows=list(report.results.items()), title=title))
    items = [item for item in report.items if every_item or item["result"] not in report.done]
    shown = items if every_item else items[:_ITEMS_SHOWN]
    _print_items([(item["item_id"], item["result"] or "open", item["detail"]) for item in shown])
    if len(items) > len(shown):
        look = f"moneyflow {_group_of(operation, 'failed')} operations {operation['id']}"
        note(f"and {len(items) - len(shown)} more: `{look}` lists each")
    if swept:
        console().print(sweep_text(swept))


def sweep_text(swept: Swept) -> Text:
    """Return what a sweep removed and left, or why it did nothing."""
    if swept.undone:
        return Text(
            f"The dead letters on jobs_failed were left as they are: {swept.undone}. They do no harm; "
            "`moneyflow failed sweep` removes the stale ones.",
            style="yellow",
        )
    refused = f", and {swept.refused} messages without a job (--refused)" if swept.refused else ""
    return Text(f"jobs_failed: {swept.removed} stale dead letters removed, {swept.left} left{refused}")


def command_of(operation: Mapping[str, Any]) -> str:
    """Return the command that carries out the verb of an operation."""
    return f"{_group_of(operation, 'jobs')} {operation['verb']}"


def show_operations(known: Operations, name: str | None, *, limit: int, as_json: bool) -> None:
    """Print the newest operations; or, of the one with the id `name`, the result of each item."""
    if name is None:
        print_operations(known.recent(limit=limit), as_json=as_json)
        return
    print_report(known.report(operation_id("ID", name)), as_json=as_json, every_item=True)


def print_operations(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print operations, the newest first."""
    if as_json:
        print_json({"operations": found})
        return
    names = ("id", "verb", "state", "items", "open_items", "created_at", "asked_by", "reason")
    columns = ("id", "verb", "state", "items", "open", "begun (UTC)", "by", prose("reason"))
    console().print(table(*columns, rows=[tuple(row[name] for name in names) for row in found]))


def _group_of(operation: Mapping[str, Any], of_waiting_jobs: str) -> str:
    """Return the group of commands that an operation is of."""
    (source, *_) = operation["sources"]
    return {WAITING_JOBS: of_waiting_jobs}.get(source) or _GROUPS.get(source, "failed")


def _print_items(rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        console().print(table("item", "result", prose("detail"), rows=rows))


def _print_canary(report: Report) -> None:
    operation = report.operation
    left = f"The canary has not succeeded, so {operation['open_items']} items were left as they are."
    console().print(Text(left, style="red"))
    rows = [(one.item_id, one.state, one.error_class, one.error_message) for one in report.canary]
    console().print(table("canary", "state", "error", prose("message"), rows=rows))
    show = f"moneyflow {_group_of(operation, 'failed')} show ID"
    console().print(f"See each with `{show}`; to continue without it:", markup=False)
    console().print(f"  moneyflow {command_of(operation)} --resume {operation['id']}\n", markup=False, soft_wrap=True)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "operation": report.operation,
        "results": report.results,
        "canary": [_verification_as_json(verification) for verification in report.canary],
        "items": [_item_as_json(item) for item in report.items],
    }


def _verification_as_json(verification: Verification) -> dict[str, Any]:
    return {
        "id": verification.item_id,
        "state": verification.state,
        "error_class": verification.error_class,
        "error_message": verification.error_message,
    }


def _item_as_json(item: Mapping[str, Any]) -> dict[str, Any]:
    if item["source"] in _WORDS:
        return {**_named(item["source"], item["item_id"]), **item}
    fence = int(item["guard"]) if item["source"] in _JOBS and item["guard"] else None
    return {**_named(item["source"], item["item_id"]), "fence": fence, **item}


def _named(source: str, item_id: str) -> dict[str, Any]:
    """Return an item's id by the word of its source."""
    if source in _WORDS:
        return {_WORDS[source]: item_id}
    return {
        "job_id": item_id if source in _JOBS else None,
        "message": item_id if source == REFUSED_MESSAGES else None,
    }
