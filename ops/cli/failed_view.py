"""How failed jobs and refused messages are printed: groups, lists, one message, and the list of operations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from moneyflow.platform.jobs.failed.refused_messages import Refused
from moneyflow.platform.jobs.failed.use_cases import Groups, JobPage
from ops.cli.output import console, more, plain, print_json, prose, table


def print_groups(found: Groups, *, limit: int, as_json: bool) -> None:
    """Print groups of failures."""
    groups = found.groups
    if as_json:
        shown = [asdict(one) for one in groups[:limit]]
        print_json({"total": found.total, "in_groups": len(groups), "groups": shown})
        return
    rows = [(g.group, g.kind, g.jobs, g.first_at, g.last_at, g.error_class, g.message, g.sample_id) for g in groups]
    columns = ("group", "job", "failed", "first (UTC)", "last (UTC)", "error", prose("message"), "sample")
    title = f"{found.total} failed, in {len(groups)} groups"
    console().print(table(*columns, rows=rows[:limit], title=title))
    more(len(groups), limit)


def print_jobs(page: JobPage, *, state: str, limit: int, as_json: bool) -> None:
    """Print failed or discarded jobs."""
    if as_json:
        print_json({"total": page.total, "jobs": page.jobs})
        return
    names = ("id", "kind", "finished_at", "priority", "attempt", "error_class", "error_message")
    columns = ("id", "job", "failed at (UTC)", "priority", "attempts", "error", prose("message"))
    rows = [tuple(job[name] for name in names) for job in page.jobs]
    console().print(table(*columns, rows=rows, title=f"{page.total} {state}"))
    more(page.total, limit)


def print_refused(found: Sequence[Refused], *, limit: int, as_json: bool) -> None:
    """Print refused messages."""
    if as_json:
        print_json({"total": len(found), "messages": [_refused_as_json(one) for one in found[:limit]]})
        return
    columns = ("message", "claims kind", "at (UTC)", "error", prose("why"), "x-death")
    rows = [_refused_row(one) for one in found[:limit]]
    console().print(table(*columns, rows=rows, title=f"{len(found)} messages without a job"))
    more(len(found), limit)


def print_refused_message(copies: Sequence[Refused], *, as_json: bool) -> None:
    """Print one refused message with its body and the number of its copies."""
    message = _refused_as_json(copies[0]) | {"copies": len(copies)}
    if as_json:
        print_json(message)
        return
    rows = [(key, value) for key, value in message.items() if key not in {"body", "body_text"}]
    console().print(table("field", prose("value"), rows=rows))
    console().print(plain("body", style="bold"))
    console().print(plain(message["body_text"]))


def _refused_row(one: Refused) -> tuple[object, ...]:
    message = one.message
    return (message.fingerprint, one.kind, message.moment, one.error_class, one.why, message.death.get("reason"))


def _refused_as_json(one: Refused) -> dict[str, Any]:
    named = {"message": one.message.fingerprint, "group": one.group, "error_class": one.error_class, "why": one.why}
    text = one.message.body.decode("utf-8", "backslashreplace")
    return {**named, "at": one.message.moment, **one.message.as_json(), "body_text": text}
