"""Status: each condition is found, has a command and a runbook section that exist, and fits on 80 columns."""

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from rich.console import Console, RenderableType
from typer.main import get_command

from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.status.conditions import CONDITIONS, LAG_RECORDS, LATE_SECONDS, Severity, judge
from moneyflow.platform.status.service import ask_all
from moneyflow.platform.status.snapshot import (
    Consumer,
    Gap,
    Jobs,
    Oldest,
    Outbox,
    Parked,
    Pause,
    Queues,
    Relay,
    RunningJob,
    Schedule,
    Server,
    Snapshot,
    Worker,
)
from ops.cli import app
from ops.cli.status_view import screen
from ops.cli.workers import listing

_ROOT = Path(__file__).parents[2]
_NOW = datetime(2026, 11, 27, 16, 40, 1, tzinfo=UTC)
_LONG = "a_kind_of_job_whose_name_is_as_long_as_any_name_of_a_kind_can_be"[:63]
_RUNNING = RunningJob(id="0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11", kind=_LONG, attempt=2, since=_NOW, seconds=12)
_WORKER = Worker(
    name="host-of-a-worker:12345", is_alive=True, started_at=_NOW, heartbeat_at=_NOW, silent_seconds=1, threads=4,
    running=(_RUNNING,),
)  # fmt: skip
_SCHEDULE = Schedule(name="purge", next_tick_at=_NOW, late_seconds=-120, paused_by=None)
_JOBS = Jobs(
    states={"scheduled": 3}, oldest=(Oldest(kind="send_email", priority=9, seconds=1, is_paused=False),), pauses=(),
    parked=(),
    schedules=(_SCHEDULE,), outbox=(Outbox(kind="event", rows=2, seconds=1),), workers=(_WORKER,),
    relays=(Relay(name="host:1", is_leader=True), Relay(name="host:2", is_leader=False)), apis=("host:3",),
    dead_letters_waiting=0,
)  # fmt: skip
_SERVERS = tuple(
    Server(name=name, where="127.0.0.1:1", problem=None) for name in ("postgres", "rabbitmq", "kafka", "redis")
)
_HEALTHY = Snapshot(
    servers=_SERVERS,
    jobs=_JOBS,
    queues=Queues(jobs=0, jobs_failed=0),
    consumers=(Consumer(sink="audit", members=1, lag=3),),
)
_PAUSE = Pause(
    kind="send_email", by="breaker", reason="20 times in a row: UnavailableError: " + "the mail server is down " * 8,
    seconds=400, probe_at=_NOW,
)  # fmt: skip


def _with(**jobs: Any) -> Snapshot:
    return replace(_HEALTHY, jobs=replace(_JOBS, **jobs))


#: For each condition a snapshot in which it holds, and its subject.
_ILL = {
    "server_down": (replace(_HEALTHY, servers=(replace(_SERVERS[1], problem="no answer"),)), "rabbitmq"),
    "no_leader": (_with(relays=(Relay(name="host:2", is_leader=False),)), "relay"),
    "no_worker": (_with(workers=()), "worker"),
    "worker_silent": (_with(workers=(_WORKER, replace(_WORKER, name="frozen:1", is_alive=False))), "frozen:1"),
    "no_api": (_with(apis=()), "api"),
    "no_consumer": (replace(_HEALTHY, consumers=(Consumer(sink="audit", members=0, lag=3),)), "audit"),
    "kind_paused": (_with(pauses=(_PAUSE,)), "send_email"),
    "jobs_parked": (_with(parked=(Parked(kind=_LONG, reason="deploy version 2 " * 9, jobs=3),)), _LONG),
    "jobs_late": (
        _with(oldest=(Oldest(kind=_LONG, priority=9, seconds=LATE_SECONDS + 1, is_paused=False),)), _LONG,
    ),
    "unpublished_late": (_with(outbox=(Outbox(kind="dead_letter", rows=7, seconds=LATE_SECONDS + 1),)), "dead_letter"),
    "jobs_failed": (
        replace(_with(states={"failed": 350}), queues=Queues(jobs=0, jobs_failed=350)), "jobs",
    ),
    "messages_refused": (replace(_HEALTHY, queues=Queues(jobs=0, jobs_failed=2)), "jobs_failed"),
    "schedule_late": (_with(schedules=(replace(_SCHEDULE, late_seconds=LATE_SECONDS + 1),)), "purge"),
    "schedule_paused": (_with(schedules=(replace(_SCHEDULE, paused_by="ada"),)), "purge"),
    "schedule_alarm": (_with(schedules=(replace(_SCHEDULE, alarm="3 files are missing in the storage"),)), "purge"),
    "partition_stopped": (_with(gaps=(Gap(sink="audit", why="user.events 0: 10 is not in 12..90"),)), "audit"),
    "events_dead": (_with(dead_events={"crm": 3}), "crm"),
    "consumer_lags": (replace(_HEALTHY, consumers=(Consumer(sink="audit", members=1, lag=LAG_RECORDS + 1),)), "audit"),
}  # fmt: skip


def _rendered(shown: RenderableType, width: int) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width, highlight=False).print(shown)
    return output.getvalue().splitlines()


def test_a_healthy_snapshot_has_no_condition_and_fits_on_one_screen() -> None:
    lines = _rendered(screen(_HEALTHY), 80)

    assert judge(_HEALTHY) == ()
    assert len(lines) <= 24
    assert "everything is as it should be" in lines
    assert any(line.startswith("processes") and "worker 1 (1 of 4 threads busy)" in line for line in lines)


def test_every_declared_condition_is_shown_by_an_example() -> None:
    assert _ILL.keys() == CONDITIONS.keys()


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_condition_is_found_alone_with_its_subject(kind: str) -> None:
    snapshot, subject = _ILL[kind]

    (condition,) = judge(snapshot)

    assert (condition.id, condition.subject) == (kind, subject)
    assert condition.severity is CONDITIONS[kind].severity


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("width", [80, 160])
def test_each_conditions_command_and_section_are_whole_lines(kind: str, width: int) -> None:
    snapshot, subject = _ILL[kind]
    found = judge(snapshot)

    lines = _rendered(screen(replace(snapshot, conditions=found)), width)

    assert max(map(len, lines)) <= width
    assert f"  {found[0].command}" in lines
    assert f"  ops/runbooks/{found[0].runbook}" in lines
    assert any(subject.replace("_", " ") in line or subject in line for line in lines)
    assert "everything is as it should be" not in lines


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_conditions_command_exists(kind: str) -> None:
    program, *words = CONDITIONS[kind].command.split()
    if program == "make":
        assert re.search(rf"^{words[0]}: ", (_ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    assert program == "moneyflow"
    command: Any = get_command(app)
    for word in [word for word in words if not word.startswith(("-", "{"))]:
        command = command.get_command(None, word)
        assert command is not None, word
    assert {word for word in words if word.startswith("-")} <= {o for one in command.params for o in one.opts}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_conditions_runbook_section_exists(kind: str) -> None:
    page, _, anchor = CONDITIONS[kind].runbook.partition("#")
    text = (_ROOT / "ops" / "runbooks" / page).read_text()

    assert anchor in {_anchor(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_the_runbook_names_pauses_first_among_the_causes_of_waiting_jobs() -> None:
    text = (_ROOT / "ops" / "runbooks" / "jobs.md").read_text()
    causes = text.split("## Jobs wait\n")[1].split("\n## ")[0]
    sections = dict(re.findall(r"^## (.+?)\n\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL))

    assert re.search(r"^1\. (.+)", causes, re.MULTILINE)[1].startswith("**Their kind is paused**")  # type: ignore[index]
    for title, first in sections.items():
        if ("stay" in title and "running" not in title and "batch" not in title) or "start late" in title:
            assert "*A kind is paused*" in first, title


def test_a_pause_comes_before_the_waiting_of_other_kinds_and_what_can_wait_comes_last() -> None:
    late = Oldest(kind="create_user", priority=3, seconds=400, is_paused=False)
    waits = Oldest(kind="send_email", priority=9, seconds=390, is_paused=True)
    found = judge(_with(states={"failed": 1}, oldest=(late, waits), pauses=(_PAUSE,)))

    assert [one.id for one in found] == ["kind_paused", "jobs_late", "jobs_failed"]
    assert found[-1].severity is Severity.WARNING
    assert "paused by its breaker for 7 min" in found[0].text
    assert found[0].text.endswith("Its oldest job has been due for 6 min")


def test_what_a_server_that_is_down_alone_knows_is_shown_as_unknown_and_not_as_0() -> None:
    down = replace(_HEALTHY, servers=(replace(_SERVERS[0], problem="refused"),), jobs=None, queues=None, consumers=None)
    lines = _rendered(screen(replace(down, conditions=judge(down))), 80)

    assert [one.id for one in judge(down)] == ["server_down"], "nothing is concluded from silence"
    assert down.refused is None
    assert any("postgres DOWN" in line for line in lines)
    assert sum("unknown: Postgres does not answer" in line for line in lines) == 6
    assert any("unknown: Kafka does not answer" in line for line in lines)


@pytest.mark.parametrize("width", [80, 160])
def test_the_list_of_workers_cuts_no_id_and_no_kind(width: int) -> None:
    dead = replace(_WORKER, name="other:1", is_alive=False, threads=None, running=())

    lines = _rendered(listing([_WORKER, dead]), width)

    assert max(map(len, lines)) <= width
    assert any(_RUNNING.id in line for line in lines)
    assert any(_LONG in line for line in lines)
    assert "    attempt 2, since 16:40:01 UTC (12 s)" in lines
    assert any("1 of 4 threads busy" in line for line in lines)
    assert any("DEAD or frozen" in line for line in lines)


def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_others() -> None:
    never = Event()

    def refuse() -> None:
        raise UnavailableError("refused")

    answers = ask_all({"frozen": never.wait, "up": lambda: 7, "down": refuse}, seconds=0.05)
    never.set()

    assert answers["up"] == 7
    assert isinstance(answers["frozen"], TimeoutError)
    assert isinstance(answers["down"], UnavailableError)
