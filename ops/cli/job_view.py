"""One job as operators see it: how it stands, what it carries, its tries, and what was done about it."""

from typing import Any

from rich.console import Console

from moneyflow.platform.jobs.store.status import JobDetail
from moneyflow.platform.telemetry.masking import masked
from ops.cli.output import fixed, plain, shown, table

#: What is shown of the row, in this order; empty ones are left out.
_FIELDS = (
    "id", "kind", "version", "state", "priority", "attempt", "max_attempts", "due_at", "enqueued_at", "published_at",
    "started_at", "finished_at", "fence", "quarantined", "waits_for", "limit_name", "limit_key", "unique_key",
    "batch_id", "parked_reason", "cancel_requested_at", "error_class", "error_message", "correlation_id", "traceparent",
)  # fmt: skip


def job_as_json(detail: JobDetail) -> dict[str, Any]:
    """Return the job with its payload, result and progress masked, its attempts and the operations on it."""
    job = {key: value for key, value in detail.job.items() if key not in {"worker", "lease_until"}}
    hidden = {key: masked(job[key]) for key in ("payload", "result", "progress", "unique_key", "limit_key")}
    return {**job, **hidden, "attempts": detail.attempts, "operations": detail.operations}


def print_job(console: Console, detail: JobDetail) -> None:
    """Print the job for people: fields, payload, attempts with the last traceback, operations."""
    job = job_as_json(detail)
    rows = [(name, job[name]) for name in _FIELDS if job.get(name) not in {None, "", False}]
    console.print(table("field", "value", rows=rows))
    for name in ("payload", "progress", "result"):
        if job[name] is not None:
            console.print(plain(name, style="bold"))
            console.print_json(data=job[name], indent=2)
    _print_attempts(console, detail)
    if detail.operations:
        rows_of = [
            (o["done_at"], o["verb"], o["result"], o["asked_by"], o["reason"], o["id"]) for o in detail.operations
        ]
        console.print(
            table("when", "what", "result", "by", "reason", fixed("operation"), rows=rows_of, title="operations")
        )


def _print_attempts(console: Console, detail: JobDetail) -> None:
    attempts = detail.attempts
    rows = [
        (a["fence"], a["attempt"], a["started_at"], a["ended_at"], a["worker"], a["outcome"], _error(a))
        for a in attempts
    ]
    columns = ("fence", "try", "started", "ended", "worker", "outcome", "error")
    console.print(table(*columns, rows=rows, title="attempts"))
    traced = [attempt for attempt in attempts if attempt["error_traceback"]]
    if traced:
        console.print(plain(f"traceback of the try with fence {traced[-1]['fence']}", style="bold"))
        console.print(plain(traced[-1]["error_traceback"].rstrip()))


def _error(attempt: dict[str, Any]) -> str:
    return f"{attempt['error_class']}: {shown(attempt['error_message'])}" if attempt["error_class"] else shown(None)
