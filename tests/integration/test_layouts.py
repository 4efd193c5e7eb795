"""Every command that prints is readable on a terminal of 80 columns: no id, kind or word is cut at any width."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import rich.cells
from psycopg.types.json import Jsonb
from typer.main import get_command

from consumers import positions
from moneyflow.accounts import suppressions
from moneyflow.audit.append import Entry, append
from moneyflow.events.user import UserActivated
from moneyflow.gateways.mail import Bounce
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.store import control
from moneyflow.platform.telemetry.origin import Origin
from moneyflow.settings import AllSettings
from ops.cli import app
from tests.support import jobs, people, rabbitmq_admin
from tests.support.dead_events import as_sink, keep
from tests.support.effects import LeaveEffect
from tests.support.failures import Answer, fail_jobs, moneyflow
from tests.support.servers import RealServers
from tests.support.store_worker import store_worker

#: As long as a kind may be.
_KIND = "a_kind_whose_name_has_forty_characters_x"
_REASON = "the mail server of the vendor refused every recipient because its certificate had expired"
_MESSAGE = f"{_REASON}\nsecond line: {'x' * 70} https://vendor.example/errors/0198f0a27c1e7d3a?code=550"
#: Wide enough for every row on one line.
_UNCUT = 2000


_SCHEDULE = """
insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at, paused_at, paused_by, pause_reason)
values ('every_night', %(kind)s, '0 3 * * *', 'America/Argentina/ComodRivadavia', 'skip', 'none', now(), now(), 'ada',
    %(reason)s)
"""


@dataclass(frozen=True)
class Scene:
    """Ids of what there is to be listed and shown."""

    failed: UUID
    waiting: UUID
    batch: UUID
    operation: str
    dead_letter: UUID
    discarded: str


#: How to call the commands that need arguments, or that show more with some; the others are called without any.
_ARGUMENTS: Mapping[str, list[str]] = {
    "audit checkpoint": ["--list"],
    "failed groups": ["--refused"],
    "failed show": ["{failed}"],
    "failed replay": ["--all", "--dry-run"],
    "failed discard": ["--all", "--dry-run"],
    "failed restore": ["--all", "--dry-run"],
    "failed list": ["--limit", "3"],
    "failed operations": ["{operation}"],
    "jobs show": ["{waiting}"],
    "batches show": ["{batch}"],
    "batches list": [],
    "jobs find": [],
    "jobs cancel": ["--all", "--dry-run"],
    "jobs run-now": ["--all", "--dry-run"],
    "consumers skip": ["audit", "user.events", "0", "--to", "0", "--dry-run"],
    "consumers rewind": ["audit", "--to", "beginning", "--dry-run"],
    "events dead-letter show": ["{dead_letter}"],
    "events dead-letter operations": ["{discarded}"],
    "events dead-letter reprocess": ["--all", "--dry-run"],
    "events dead-letter discard": ["--all", "--dry-run"],
    "events dead-letter restore": ["--all", "--dry-run"],
    "queue status": [],
    "schedules list": [],
}
#: Commands that print a line about what they did, and no table.
_ACTS = {
    "batches cancel", "jobs enqueue", "queue pause", "queue resume", "schedules pause",
    "schedules resume", "schedules run", "failed sweep", "mails release", "doctor",
    "user create-admin", "events tail", "analytics rebuild",
    # These need a CRM.
    "crm diff", "crm operations", "crm resync", "crm status",
}  # fmt: skip
_MORE = {
    "failed list of refused messages": ["failed", "list", "--refused"],
    "operations": ["failed", "operations"],
    "operations on dead letters": ["events", "dead-letter", "operations"],
}


def _printing(group: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command that takes `--json`, which are all that print."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            if name not in {"contracts", "new"}:  # For developers: no tables.
                yield from _printing(command, (*path, name))
        elif any("--json" in parameter.opts for parameter in command.params):
            yield " ".join((*path, name))


_TABLES = sorted(set(_printing(get_command(app))) - _ACTS)


def _calls() -> dict[str, list[str]]:
    return {name: [*name.split(), *_ARGUMENTS.get(name, [])] for name in _TABLES} | _MORE


@pytest.fixture
def scene(
    environment: dict[str, str], platform: AllSettings, database: Database, servers: RealServers
) -> Iterator[Scene]:
    """Return failed and waiting jobs, a batch, an operation, a pause, a schedule, and a refused message."""
    failed = fail_jobs(database, 3, kind=_KIND, error_class="CertificateVerificationFailedError", message=_MESSAGE)
    operated = fail_jobs(database, 1, message=_MESSAGE)
    _, retrying = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        session.execute(
            "update jobs set kind = %(kind)s, attempt = 1, error_class = 'UnavailableError', error_message = %(text)s,"
            " correlation_id = %(id)s, unique_key = %(key)s where id = %(id)s",
            {"kind": _KIND, "text": _MESSAGE, "id": retrying, "key": "k" * 50},
        )
        batch = batches.submit(session, [LeaveEffect() for _ in range(3)], name=_REASON)
        control.pause(session, _KIND, by="ada", reason=_REASON)
    with psycopg.connect(platform.conninfo("relay", application_name="test"), autocommit=True) as relay:
        relay.execute(_SCHEDULE, {"kind": _KIND, "reason": _REASON})
    rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, f'{{"half": "{"m" * 90}"}}', {}, exchange="jobs.dead")
    _audit(platform)
    _count_people(platform)
    assert moneyflow(environment, "audit", "checkpoint", "--json").code == 0
    with as_sink(platform) as sink, sink.transaction() as session:
        positions.claim(session, topic="user.events", partition=0)
    moneyflow(environment, "consumers", "skip", "audit", "user.events", 0, "--to", 0, "--reason", _REASON)
    person = people.sign_up(database, name="Zoë")
    with database.transaction() as session:
        bounce = Bounce(code=550, status="5.1.1", reason=_MESSAGE)
        suppressions.add(session, platform, bounce, user_id=person.user_id, address=person.email)
    replayed = moneyflow(environment, "failed", "replay", *operated, uuid4(), "--reason", _REASON, "--json")
    dead, *operated = keep(platform, 2, error=PoisonError(_MESSAGE))
    discarded = moneyflow(environment, "events", "dead-letter", "discard", *operated, "--reason", _REASON, "--json")
    with store_worker(platform) as worker:
        running = [{"id": str(retrying), "kind": _KIND, "attempt": 2, "seconds": 5.0}]
        with database.transaction() as session:
            session.execute(
                "update workers set name = %(name)s, threads = 4, running = %(running)s where number = %(number)s",
                {"name": "a-host-of-a-long-name:1234567", "running": Jsonb(running), "number": worker.number},
            )
        yield Scene(
            failed=failed[0],
            waiting=retrying,
            batch=batch,
            operation=replayed.json["operation"]["id"],
            dead_letter=dead,
            discarded=discarded.json["operation"]["id"],
        )


def _count_people(settings: AllSettings) -> None:
    """Count a person who has signed up today."""
    of_today = "select current, {} from analytics.generations where part = 'people'"
    with psycopg.connect(settings.conninfo("analytics", application_name="test"), autocommit=True) as sink:
        sink.execute(
            "insert into analytics.people (generation, token, signed_up) "
            + of_today.format("gen_random_uuid(), current_date")
        )
        sink.execute(
            "insert into analytics.day_counts (generation, day, what, count) "
            + of_today.format("current_date, 'signed_up', 1")
        )


def _audit(settings: AllSettings) -> None:
    """Append an event to the audit log."""
    event = UserActivated(sequence=1, user_id=uuid4(), activated_at=datetime.now(UTC))
    value = event.envelope(event_id=new_id(), source="/money-flow/test", origin=Origin(), time=datetime.now(UTC))
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    database.open()
    with database.transaction() as session:
        entry = Entry(offset=0, key=b"key", value=value, envelope=envelope.read(value))
        append(session, topic="user.events", partition=0, entries=[entry])
    database.close()


def _printed(environment: dict[str, str], words: list[str], scene: Scene, *, columns: int) -> Answer:
    asked = [word.format(**vars(scene)) for word in words]
    return moneyflow(environment | {"COLUMNS": str(columns)}, *asked)


def test_every_command_that_is_called_with_arguments_is_one_that_prints() -> None:
    assert len(_TABLES) > 10
    assert set(_ARGUMENTS) <= set(_TABLES)
    assert set(_printing(get_command(app))) >= _ACTS


@pytest.mark.parametrize("columns", [80, 160])
def test_no_word_is_cut_and_no_line_is_wider_than_the_terminal(
    environment: dict[str, str], scene: Scene, columns: int
) -> None:
    for name, words in _calls().items():
        narrow = _printed(environment, words, scene, columns=columns)
        uncut = _printed(environment, words, scene, columns=_UNCUT)

        assert narrow.code == uncut.code != 2, f"{name}: {narrow.notes}"
        values = set(_values(_printed(environment, [*words, "--json"], scene, columns=columns).json))
        tables = narrow.text.partition("\npayload\n")[0].partition("\nbody\n")[0]  # As they are, to be copied.
        too_wide = [line for line in tables.splitlines() if rich.cells.cell_len(line) > columns]
        # Numbers alone may be seconds, which pass between two looks.
        words_shown = {word for word in uncut.text.split() if len(word) <= columns - 30 and not word.isdecimal()}
        cut = values & words_shown - set(narrow.text.split())
        assert not too_wide, f"{name} at {columns}: {too_wide}"
        assert values & words_shown, f"{name} shows nothing of what there is"
        assert not cut, f"{name} at {columns} cuts {cut}\n{narrow.text}"


def _values(found: Any) -> Iterator[str]:
    """Yield the words of all values in JSON."""
    if isinstance(found, dict | list):
        for part in found.values() if isinstance(found, dict) else found:
            yield from _values(part)
    elif found not in {None, ""}:
        yield from str(found).split()


@pytest.mark.parametrize("columns", [80, 160])
def test_the_runbooks_first_commands_show_id_kind_error_and_count_in_full(
    environment: dict[str, str], scene: Scene, columns: int
) -> None:
    groups = _printed(environment, ["failed", "groups"], scene, columns=columns).text
    listed = _printed(environment, ["failed", "list"], scene, columns=columns).text
    found = _printed(environment, ["jobs", "find"], scene, columns=columns).text

    assert _KIND in groups
    assert "CertificateVerificationFailedError" in groups
    assert str(scene.failed) in listed
    assert str(scene.waiting) in found
    head = next(line for line in groups.splitlines() if _KIND in line)
    assert head.split()[2] == "3", "the number of failures is next to the kind"
