"""What became of an operation, as operators are told it: results, jobs that need a look, letters, canary."""

from typing import Any
from uuid import UUID

from rich.text import Text

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import MoneyFlowError
from moneyflow.platform.jobs.failed import operations as service
from moneyflow.platform.jobs.failed import store as ledger
from moneyflow.platform.settings import Settings
from ops.cli.output import console, fixed, note, print_json, progress_bar, table

_ITEMS_SHOWN = 20


def report_of(session: Session, operation: UUID) -> dict[str, Any]:
    """Return an operation with its results, and what became of each of its jobs."""
    items, row = ledger.items(session, operation), ledger.operation(session, operation)
    for item in items:
        item["message"] = FailedMessage.from_json(item["message"]).fingerprint if item["message"] else None
    return {
        "operation": row,
        "results": ledger.results(session, operation),
        "canary": service.unsuccessful_canary(session, operation) if row["state"] == "stopped" else [],
        "items": items,
    }


def print_report(report: dict[str, Any], *, as_json: bool, every_item: bool = False) -> None:
    """Print what became of an operation; for people, only the jobs that need a look unless every one is asked for."""
    if as_json:
        print_json(report)
        return
    out, operation = console(), report["operation"]
    title = f"{operation['verb']} {operation['id']}: {operation['state']}, by {operation['asked_by']}"
    out.print(table("result", "jobs", rows=list(report["results"].items()), title=title))
    items = [item for item in report["items"] if every_item or item["result"] not in service.DONE]
    shown = items if every_item else items[:_ITEMS_SHOWN]
    if shown:
        rows = [(item["job_id"] or item["message"], item["result"] or "open", item["detail"]) for item in shown]
        out.print(table(fixed("job"), "result", "detail", rows=rows))
    if len(items) > len(shown):
        note(f"and {len(items) - len(shown)} more: `moneyflow failed operations {operation['id']}` shows each")
    if "letters" in report:
        out.print(told_of_letters(report["letters"]))
    _print_canary(report)


def sweep_letters(settings: Settings, database: Database) -> dict[str, Any]:
    """Remove letters that are over; when RabbitMQ is away, say what was left undone."""
    from moneyflow.platform.brokers.failed_queue import FailedQueue  # noqa: PLC0415 - kombu is loaded where it is needed
    from moneyflow.platform.jobs.failed import dead_letters  # noqa: PLC0415

    try:
        with FailedQueue(settings) as queue, progress_bar() as bar:
            task = bar.add_task("removing letters that are over", total=None)
            swept = dead_letters.sweep(database, queue, on_progress=lambda seen: bar.update(task, advance=seen))
    except MoneyFlowError as error:
        return {"removed": 0, "left": None, "refused": None, "undone": error.detail}
    return {"removed": swept.removed, "left": swept.letters, "refused": swept.refused, "undone": None}


def told_of_letters(swept: dict[str, Any]) -> Text:
    """Say what a sweep did, or why it did nothing."""
    if swept["undone"]:
        return Text(
            f"The letters on jobs_failed were left as they are: {swept['undone']}. They do no harm; "
            "`moneyflow failed sweep` removes those that are over.",
            style="yellow",
        )
    refused = f", and {swept['refused']} messages that have no job (--refused)" if swept["refused"] else ""
    return Text(f"jobs_failed: {swept['removed']} letters removed, {swept['left']} left{refused}")


def _print_canary(report: dict[str, Any]) -> None:
    operation = report["operation"]
    if operation["state"] != "stopped":
        return
    rows = [(job["id"], job["state"], job["error_class"], job["error_message"]) for job in report["canary"]]
    console().print(table(fixed("canary"), "state", "error", "message", rows=rows))
    console().print(
        Text(
            f"The canary has not succeeded, so {operation['open_items']} jobs were left as they are. Look at it with "
            f"`moneyflow failed show`; to go on all the same: moneyflow failed replay --resume {operation['id']}",
            style="red",
        )
    )
