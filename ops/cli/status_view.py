"""How a snapshot is shown: one screen of 80 columns, a line for each part, then what needs an operator."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from moneyflow.platform.status.conditions import Condition, Severity, duration
from moneyflow.platform.status.snapshot import Jobs, Snapshot
from ops.cli.output import plain

_UNKNOWN = "unknown: Postgres does not answer"
_STYLES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow"}
#: Columns of the names of the parts.
_NAME = 11


def screen(snapshot: Snapshot) -> RenderableType:
    """Return the whole screen; no command and no anchor of a runbook is cut."""
    parts = [_line(name, text) for name, text in _lines(snapshot)]
    conditions = [_condition(condition) for condition in snapshot.conditions]
    verdict = Text("everything is as it should be", style="green")
    return Group(*parts, Text(), *(conditions or [verdict]))


def _lines(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    servers = (f"{server.name} {'DOWN' if server.problem is not None else 'ready'}" for server in snapshot.servers)
    yield "servers", " · ".join(servers)
    jobs = snapshot.jobs
    if jobs is None:
        yield from ((name, _UNKNOWN) for name in ("processes", "leader", "paused", "jobs", "failed", "schedules"))
    else:
        yield "processes", _processes(snapshot, jobs)
        yield "leader", next((relay.name for relay in jobs.relays if relay.is_leader), "none")
        yield "paused", ", ".join(pause.kind for pause in jobs.pauses) or "no kind"
        yield "jobs", _jobs(jobs)
        yield "failed", f"{jobs.states.get('failed', 0)} jobs · {_refused(snapshot)}"
        yield "schedules", _schedules(jobs)
        yield "unpublished", " · ".join(f"{row.rows} {row.kind.replace('_', ' ')}s" for row in jobs.outbox)
    yield "consumers", _consumers(snapshot)


def _processes(snapshot: Snapshot, jobs: Jobs) -> str:
    alive = [worker for worker in jobs.workers if worker.is_alive]
    threads = sum(worker.threads or 0 for worker in alive)
    busy = sum(len(worker.running) for worker in alive)
    consumers = "?" if snapshot.consumers is None else sum(consumer.members for consumer in snapshot.consumers)
    workers = f"worker {len(alive)} ({busy} of {threads} threads busy)"
    return f"api {len(jobs.apis)} · relay {len(jobs.relays)} · {workers} · consumer {consumers}"


def _jobs(jobs: Jobs) -> str:
    counts = " · ".join(
        f"{jobs.states.get(state, 0)} {state}" for state in ("scheduled", "queued", "running", "retrying")
    )
    oldest = max((one.seconds for one in jobs.oldest), default=0.0)
    return f"{counts} · oldest due {duration(oldest)}"


def _refused(snapshot: Snapshot) -> str:
    return "refused messages unknown" if snapshot.refused is None else f"{snapshot.refused} refused messages"


def _schedules(jobs: Jobs) -> str:
    running = [schedule for schedule in jobs.schedules if schedule.paused_by is None]
    paused = len(jobs.schedules) - len(running)
    following = f" · next {running[0].name} in {duration(-running[0].late_seconds)}" if running else ""
    return f"{len(jobs.schedules)}, {paused} paused{following}"


def _consumers(snapshot: Snapshot) -> str:
    if snapshot.consumers is None:
        return "unknown: Kafka does not answer"
    return " · ".join(f"{one.sink} {one.members}, lag {one.lag}" for one in snapshot.consumers) or "none yet"


def _line(name: str, text: str) -> Text:
    line = Text(f"{name:{_NAME}} ", style="bold")
    return line.append_text(plain(text, style="not bold"))


def _condition(condition: Condition) -> RenderableType:
    """Return a problem, the command that helps, and the page of the runbook, each on lines of its own."""
    return Group(
        plain(f"{condition.severity.upper()} {condition.text}", style=_STYLES[condition.severity]),
        plain(f"  {condition.command}"),
        plain(f"  ops/runbooks/{condition.runbook}"),
    )
