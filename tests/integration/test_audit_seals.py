"""Names leave the audit log: a seal closes the chain, and what is changed on either side of it is found."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from moneyflow.audit.append import Entry, append
from moneyflow.platform.database import Database
from moneyflow.platform.events import envelope
from moneyflow.settings import AllSettings
from ops.migrate import downgrade_schema, upgrade_schema
from tests.support import audit_log
from tests.support.command_line import moneyflow
from tests.support.servers import RealServers

_PLACE: dict[str, Any] = {"topic": "user.events", "partition": 0}
#: As version 9c18b28 wrote it.
_CREATED = (
    '{"specversion":"1.0","id":"019b7c3a-0000-7000-8000-0000000000e1","source":"/money-flow/api","type":"user.created",'
    '"subject":"019b7c3a-0000-7000-8000-000000000001","time":"2026-01-02T03:04:05.678901Z",'
    '"datacontenttype":"application/json","dataschema":"/schemas/user.created/1","sequence":"1",'
    '"actorid":"019b7c3a-0000-7000-8000-000000000001","correlationid":"r1",'
    '"traceparent":"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",'
    '"data":{"user_id":"019b7c3a-0000-7000-8000-000000000001","email":"zoe@mail.example",'
    '"name":"Zoë \\"Z\\" Smith","created_at":"2026-01-02T03:04:05.678901Z"}}'
)
_ACTIVATED = (
    _CREATED.replace("user.created", "user.activated")
    .replace('"email":"zoe@mail.example","name":"Zoë \\"Z\\" Smith",', "")
    .replace("created_at", "activated_at")
)
_WITHOUT = _CREATED.replace('"email":"zoe@mail.example","name":"Zoë \\"Z\\" Smith",', "")

Tamper = Callable[[str], None]


def _entry(offset: int, text: str) -> Entry:
    value = text.replace("0000000000e1", f"{offset:012x}").encode()
    return Entry(offset=offset, key=b"key", value=value, envelope=envelope.read(value))


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    """Return the log of the old version, as its own role: rows 2 and 4 of six have a name and an address."""
    downgrade_schema(settings, revision="0021")
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    database.open()
    _append(database, *(_entry(n, _CREATED if n in {1, 3} else _ACTIVATED) for n in range(6)))
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as owner:
        for text in (_CREATED, _ACTIVATED):
            owner.execute(
                "insert into outbox_events (id, topic, key, value) values (gen_random_uuid(), 'user.events', 'k', %s)",
                [text.encode()],
            )
    yield database
    database.close()


@pytest.fixture
def tamper(servers: RealServers, settings: AllSettings) -> Tamper:
    """Return what runs a statement past every right and trigger."""
    return partial(audit_log.tamper, servers, settings)


def _append(log: Database, *entries: Entry) -> None:
    with log.transaction() as session:
        append(session, **_PLACE, entries=entries)


def _verify(environment: dict[str, str]) -> tuple[int, str]:
    """Return the exit code of `moneyflow audit verify`, and what it prints."""
    done = moneyflow(environment, "audit", "verify", "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def _values(log: Database) -> list[str]:
    with log.transaction() as session:
        rows = session.fetch_all("select value from audit.events order by position")
    return [bytes(row["value"]).decode() for row in rows]


def test_stored_events_lose_names_and_addresses_and_the_log_is_sound_afterwards(
    log: Database, settings: AllSettings, environment: dict[str, str]
) -> None:
    before = _values(log)

    upgrade_schema(settings)
    verified = _verify(environment)
    _append(log, _entry(6, _WITHOUT), _entry(7, _ACTIVATED))
    after = _verify(environment)

    texts = _values(log)
    assert (verified[0], after[0]) == (0, 0), after[1]
    assert not any(word in text for text in texts for word in ("zoe@mail", "Smith", '"email"', '"name"'))
    assert [texts[n] for n in (0, 2, 4, 5)] == [before[n] for n in (0, 2, 4, 5)]
    assert texts[1] == _entry(1, _WITHOUT).value.decode()
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as owner:
        waiting = [bytes(row[0]) for row in owner.execute("select value from outbox_events order by sequence")]
        (sealed,) = owner.execute("select position, fault from audit.seals").fetchall()
    assert waiting == [_WITHOUT.encode(), _ACTIVATED.encode()]
    assert sealed == (6, None)


_CHANGE = "update audit.events set value = replace(encode(value, 'escape'), 'money-flow', 'money-flaw')::bytea "


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (_CHANGE + "where position = 2", "position 2 was changed"),
        (_CHANGE + "where position = 7", "position 7 was changed"),
        ("delete from audit.events where position = 4", "position 4 was removed"),
        ("delete from audit.events where position = 8", "position 8 was removed"),
        ("update audit.seals set former_head_hash = ''", "the seal at position 6 was changed"),
        ("update audit.seals set fault = 'none'", "the seal at position 6 was changed"),
        ("delete from audit.seals", "position 6 was changed, or a seal there"),
        ("delete from audit.events where position > 6; update audit.chains set height = 6",
         "position 6 does not fit the head"),
    ],
)  # fmt: skip
def test_what_is_changed_before_and_after_the_seal_is_found(
    log: Database, settings: AllSettings, environment: dict[str, str], tamper: Tamper, statement: str, fault: str
) -> None:
    upgrade_schema(settings)
    _append(log, _entry(6, _WITHOUT), _entry(7, _ACTIVATED))

    tamper(statement)

    code, printed = _verify(environment)
    assert (code, fault in printed) == (1, True), printed


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (_CHANGE + "where position = 2", "position 2 was changed, removed or inserted"),
        ("update audit.chains set height = 5; delete from audit.events where position = 6",
         "position 5 did not fit the head"),
    ],
)  # fmt: skip
def test_what_was_changed_before_the_migration_is_still_found_after_it(
    log: Database, settings: AllSettings, environment: dict[str, str], tamper: Tamper, statement: str, fault: str
) -> None:
    tamper(statement)

    upgrade_schema(settings)
    _append(log, _entry(6, _WITHOUT))

    code, printed = _verify(environment)
    assert (code, f"{fault}, before the seal there" in printed) == (1, True), printed
    assert "Smith" not in "".join(_values(log))


def test_a_chain_without_names_stays_as_it_is(log: Database, settings: AllSettings, tamper: Tamper) -> None:
    tamper("delete from audit.events; delete from audit.chains")
    _append(log, _entry(0, _ACTIVATED), _entry(1, _WITHOUT))
    with log.transaction() as session:
        before = session.fetch_all("select * from audit.events"), session.fetch_all("select * from audit.chains")

    upgrade_schema(settings)

    with log.transaction() as session:
        assert before == (
            session.fetch_all("select * from audit.events"),
            session.fetch_all("select * from audit.chains"),
        )
        assert session.fetch_all("select * from audit.seals") == []


def test_the_way_back_leaves_a_chain_that_the_old_version_verifies(
    log: Database, settings: AllSettings, environment: dict[str, str]
) -> None:
    upgrade_schema(settings)
    _append(log, _entry(6, _WITHOUT), _entry(7, _ACTIVATED))

    downgrade_schema(settings, revision="0021")
    upgrade_schema(settings)

    assert _verify(environment)[0] == 0
    with log.transaction() as session:
        assert session.fetch_all("select * from audit.seals") == []
