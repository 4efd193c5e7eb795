"""Live view of the play: tables that are redrawn five times a second, or a line for a log."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from ops.dev.demo.crowd import Crowd
from ops.dev.demo.watch import Seen

_STATES = ("scheduled", "queued", "running", "retrying", "succeeded", "failed")


def draw(crowd: Crowd, seen: Seen, happened: list[str]) -> RenderableType:
    """Return the current view."""
    news = Panel("\n".join(happened[-6:]), title="what happened")
    return Group(_requests(crowd), _jobs(seen), _outside(seen), news)


def line(crowd: Crowd, seen: Seen) -> str:
    """Return the current view as one line, for a log."""
    states = Counter[str]()
    for (_, state), count in seen.jobs.items():
        states[state] += count
    jobs = ", ".join(f"{states[state]} {state}" for state in _STATES if states[state]) or "none yet"
    records = sum(len(ids) for ids in seen.records.values())
    rows = sum(row["rows"] for row in seen.audited.values())
    return (
        f"{len(crowd.answers)}/{len(crowd.people)} requests · jobs: {jobs} · {seen.mails.total()} mails · "
        f"{seen.activated} activated · {records} events · {rows} audit rows"
    )


def _requests(crowd: Crowd) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=len(crowd.people), completed=len(crowd.answers), width=40)
    counts = f"{crowd.accepted} accepted, {crowd.refused} refused, {crowd.repeated.total()} repeated"
    table.add_row("sign-ups", bar, f"{len(crowd.answers)}/{len(crowd.people)}: {counts}")
    return table


def _jobs(seen: Seen) -> RenderableType:
    table = Table("job", *_STATES, title="jobs by state", title_justify="left")
    for kind in sorted({kind for kind, _ in seen.jobs}):
        table.add_row(kind, *(str(seen.jobs[kind, state] or "") for state in _STATES))
    return table


def _outside(seen: Seen) -> RenderableType:
    table = Table("mails caught", "accounts in use", "events by topic", "audit rows")
    topics = "\n".join(f"{topic} {len(ids)}" for topic, ids in seen.records.items() if ids)
    audited = "\n".join(f"{kind} {row['rows']}" for kind, row in seen.audited.items())
    table.add_row(str(seen.mails.total()), f"{seen.activated} of {seen.users}", topics, audited)
    return table
