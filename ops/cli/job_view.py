"""How one job is printed: its row, payload, attempts, and the operations on it; secrets are masked."""

from collections.abc import Mapping, Sequence
from typing import Any

from moneyflow.platform.jobs.store.status import JobDetail
from moneyflow.platform.telemetry.masking import masked
from ops.cli.output import console, plain, print_json, prose, shown, table

#: Columns of the row that are shown, in this order; empty ones are left out.
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


def print_job(detail: JobDetail, *, as_json: bool) -> None:
    """Print the job: fields, payload, attempts with the last traceback, operations."""
    job = job_as_json(detail)
    if as_json:
        print_json(job)
        return
    out = console()
    rows = [(name, job[name]) for name in _FIELDS if job.get(name) not in {None, "", False}]
    out.print(table("field", prose("value"), rows=rows))
    for name in ("payload", "progress", "result"):
        if job[name] is not None:
            out.print(plain(name, style="bold"))
            out.print_json(data=job[name], indent=2)
    _print_attempts(detail.attempts)
    if detail.operations:
        names = ("done_at", "verb", "result", "asked_by", "reason", "id")
        rows = [tuple(operation[name] for name in names) for operation in detail.operations]
        columns = ("when", "verb", "result", "by", prose("reason"), "operation")
        out.print(table(*columns, rows=rows, title="operations"))


def _print_attempts(attempts: Sequence[Mapping[str, Any]]) -> None:
    names = ("fence", "attempt", "started_at", "ended_at", "worker", "outcome")
    rows = [(*(attempt[name] for name in names), _error(attempt)) for attempt in attempts]
    columns = ("fence", "attempt", "started", "ended", "worker", "outcome", prose("error"))
    console().print(table(*columns, rows=rows, title="attempts"))
    traced = [attempt for attempt in attempts if attempt["error_traceback"]]
    if traced:
        console().print(plain(f"traceback of the attempt with fence {traced[-1]['fence']}", style="bold"))
        console().print(plain(traced[-1]["error_traceback"].rstrip()))


def _error(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['error_class']}: {shown(attempt['error_message'])}" if attempt["error_class"] else shown(None)
