"""Conditions: what needs an operator, each declared with a severity, the command that helps and a runbook section."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from moneyflow.platform.jobs.store.control import BREAKER
from moneyflow.platform.status.snapshot import Jobs, Pause, Snapshot

#: Seconds for which a job, a row of the outbox or a tick is due before it counts as late. A job starts within a second
#: while a thread is idle; a minute is a backlog, or something that does not run.
LATE_SECONDS = 60.0
#: Records; an event storm of a few seconds is less, and consumers read thousands a second.
LAG_RECORDS = 1000


class Severity(StrEnum):
    """How soon an operator has to look."""

    CRITICAL = "critical"  #: Now: requests wait, or will be refused.
    WARNING = "warning"  #: Today: something waits for a decision, and everything else works.


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A declared condition. `command` may hold `{subject}`; `runbook` is a page of `ops/runbooks/` and its anchor."""

    id: str
    severity: Severity
    command: str
    runbook: str


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that holds now: `text` says what, `subject` of what, such as a kind or a schedule."""

    id: str
    severity: Severity
    subject: str
    text: str
    command: str
    runbook: str


_DECLARED = (
    Kind(id="server_down", severity=Severity.CRITICAL, command="make up", runbook="servers.md#a-server-is-down"),
    Kind(
        id="no_leader",
        severity=Severity.CRITICAL,
        command="make up",
        runbook="jobs.md#jobs-stay-scheduled",
    ),
    Kind(
        id="no_worker",
        severity=Severity.CRITICAL,
        command="make up",
        runbook="jobs.md#jobs-stay-queued",
    ),
    Kind(
        id="worker_silent",
        severity=Severity.WARNING,
        command="moneyflow workers list",
        runbook="jobs.md#jobs-stay-running",
    ),
    Kind(
        id="no_api",
        severity=Severity.CRITICAL,
        command="make up",
        runbook="servers.md#a-process-is-down",
    ),
    Kind(
        id="no_consumer",
        severity=Severity.CRITICAL,
        command="make up",
        runbook="events.md#lag-grows",
    ),
    Kind(
        id="kind_paused",
        severity=Severity.CRITICAL,
        command="moneyflow queue resume {subject}",
        runbook="jobs.md#a-kind-is-paused",
    ),
    Kind(
        id="jobs_parked",
        severity=Severity.CRITICAL,
        command="moneyflow queue status",
        runbook="jobs.md#jobs-are-parked",
    ),
    Kind(
        id="jobs_late",
        severity=Severity.CRITICAL,
        command="moneyflow queue status",
        runbook="jobs.md#jobs-wait",
    ),
    Kind(
        id="unpublished_late",
        severity=Severity.CRITICAL,
        command="moneyflow status",
        runbook="events.md#events-are-not-published",
    ),
    Kind(
        id="jobs_failed",
        severity=Severity.WARNING,
        command="moneyflow failed groups",
        runbook="jobs.md#what-failed-and-why",
    ),
    Kind(
        id="messages_refused",
        severity=Severity.WARNING,
        command="moneyflow failed groups --refused",
        runbook="jobs.md#what-failed-and-why",
    ),
    Kind(
        id="schedule_late",
        severity=Severity.CRITICAL,
        command="moneyflow schedules list",
        runbook="jobs.md#a-scheduled-job-does-not-come",
    ),
    Kind(
        id="schedule_paused",
        severity=Severity.WARNING,
        command="moneyflow schedules resume {subject}",
        runbook="jobs.md#a-scheduled-job-does-not-come",
    ),
    Kind(
        id="schedule_alarm",
        severity=Severity.WARNING,
        command="moneyflow schedules list",
        runbook="jobs.md#a-scheduled-job-raises-an-alarm",
    ),
    Kind(
        id="consumer_lags",
        severity=Severity.WARNING,
        command="moneyflow status --watch",
        runbook="events.md#lag-grows",
    ),
    Kind(
        id="partition_stopped",
        severity=Severity.CRITICAL,
        command="moneyflow consumers list {subject}",
        runbook="events.md#a-partition-is-stopped",
    ),
    Kind(
        id="events_dead",
        severity=Severity.WARNING,
        command="moneyflow events dead-letter groups --sink {subject}",
        runbook="events.md#a-sink-could-not-write-an-event-dead-letters",
    ),
)
#: Every declared condition by its id.
CONDITIONS = {kind.id: kind for kind in _DECLARED}


def judge(snapshot: Snapshot) -> tuple[Condition, ...]:
    """Return what needs an operator, the most urgent first; pauses come before the waiting that they cause."""
    found = [condition for rule in _RULES for condition in rule(snapshot)]
    return tuple(sorted(found, key=lambda condition: condition.severity is not Severity.CRITICAL))


def duration(seconds: float) -> str:
    """Return a number of seconds as people say it: `42 s`, `6 min`, `5 h`, `3 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _condition(kind: str, subject: str, text: str) -> Condition:
    declared = CONDITIONS[kind]
    return Condition(
        id=kind,
        severity=declared.severity,
        subject=subject,
        text=text,
        command=declared.command.format(subject=subject),
        runbook=declared.runbook,
    )


def _servers(snapshot: Snapshot) -> Iterator[Condition]:
    for server in snapshot.servers:
        if server.problem is not None:
            yield _condition("server_down", server.name, f"{server.name} at {server.where}: {server.problem}")


def _pauses(snapshot: Snapshot) -> Iterator[Condition]:
    for pause in snapshot.jobs.pauses if snapshot.jobs else ():
        assert snapshot.jobs is not None
        yield _condition("kind_paused", pause.kind, _pause_text(pause, snapshot.jobs))


def _parked(snapshot: Snapshot) -> Iterator[Condition]:
    for parked in snapshot.jobs.parked if snapshot.jobs else ():
        text = f"no worker can read {parked.jobs} jobs of {parked.kind}: {parked.reason}"
        yield _condition("jobs_parked", parked.kind, text)


def _pause_text(pause: Pause, jobs: Jobs) -> str:
    by = "its breaker" if pause.by == BREAKER else pause.by
    waits = max((oldest.seconds for oldest in jobs.oldest if oldest.kind == pause.kind), default=None)
    text = f"{pause.kind} has been paused by {by} for {duration(pause.seconds)}: {pause.reason or 'no reason given'}"
    return text if waits is None else f"{text}. Its oldest job has been due for {duration(waits)}"


def _processes(snapshot: Snapshot) -> Iterator[Condition]:
    if snapshot.jobs is None:
        return
    if not any(relay.is_leader for relay in snapshot.jobs.relays):
        yield _condition("no_leader", "relay", "no relay leads: nothing is published and no schedule ticks")
    if not any(worker.is_alive for worker in snapshot.jobs.workers):
        yield _condition("no_worker", "worker", "no worker runs: no job starts")
    if not snapshot.jobs.apis:
        yield _condition("no_api", "api", "no process of the API is connected with Postgres")
    for worker in snapshot.jobs.workers:
        if not worker.is_alive:
            text = f"worker {worker.name} is dead or frozen, and its jobs are not rescued yet"
            yield _condition("worker_silent", worker.name, text)


def _late(snapshot: Snapshot) -> Iterator[Condition]:
    for oldest in snapshot.jobs.oldest if snapshot.jobs else ():
        if oldest.seconds > LATE_SECONDS and not oldest.is_paused:
            text = f"jobs of {oldest.kind} (priority {oldest.priority}) have been due for {duration(oldest.seconds)}"
            yield _condition("jobs_late", oldest.kind, text)
    for outbox in snapshot.jobs.outbox if snapshot.jobs else ():
        if outbox.seconds > LATE_SECONDS:
            what = outbox.kind.replace("_", " ") + "s"
            text = f"{outbox.rows} {what} wait for the relay, the oldest for {duration(outbox.seconds)}"
            yield _condition("unpublished_late", outbox.kind, text)


def _failed(snapshot: Snapshot) -> Iterator[Condition]:
    failed = snapshot.jobs.states.get("failed", 0) if snapshot.jobs else 0
    if failed:
        yield _condition("jobs_failed", "jobs", f"{failed} jobs have failed and wait for a decision")
    if snapshot.refused:
        text = f"{snapshot.refused} messages on jobs_failed belong to no failed job: refused, or stale"
        yield _condition("messages_refused", "jobs_failed", text)


def _schedules(snapshot: Snapshot) -> Iterator[Condition]:
    for schedule in snapshot.jobs.schedules if snapshot.jobs else ():
        if schedule.paused_by is not None:
            text = f"the schedule {schedule.name} is paused by {schedule.paused_by}"
            yield _condition("schedule_paused", schedule.name, text)
        elif schedule.late_seconds > LATE_SECONDS:
            text = f"the schedule {schedule.name} should have ticked {duration(schedule.late_seconds)} ago"
            yield _condition("schedule_late", schedule.name, text)
        if schedule.alarm is not None:
            yield _condition("schedule_alarm", schedule.name, f"{schedule.name} has found: {schedule.alarm}")


def _consumers(snapshot: Snapshot) -> Iterator[Condition]:
    for consumer in snapshot.consumers or ():
        if not consumer.members:
            text = f"no consumer of {consumer.sink} runs; {consumer.lag} records wait"
            yield _condition("no_consumer", consumer.sink, text)
        elif consumer.lag > LAG_RECORDS:
            yield _condition("consumer_lags", consumer.sink, f"{consumer.sink} is {consumer.lag} records behind")


def _sinks(snapshot: Snapshot) -> Iterator[Condition]:
    for gap in snapshot.jobs.gaps if snapshot.jobs else ():
        yield _condition(
            "partition_stopped", gap.sink, f"{gap.sink} is stopped until its gap is acknowledged: {gap.why}"
        )
    for sink, events in snapshot.jobs.dead_events.items() if snapshot.jobs else ():
        yield _condition("events_dead", sink, f"{sink} could not write {events} events, which wait for a decision")


_RULES: tuple[Callable[[Snapshot], Iterator[Condition]], ...] = (
    _servers,
    _pauses,
    _parked,
    _processes,
    _late,
    _failed,
    _schedules,
    _consumers,
    _sinks,
)
