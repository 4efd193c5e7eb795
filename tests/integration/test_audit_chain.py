"""The audit log: every event once; a row that was changed, removed or inserted is found and named."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from moneyflow.audit.append import append
from moneyflow.audit.verify import Chain, verify
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import audit_log
from tests.support.audit_log import entry
from tests.support.servers import RealServers

_ROWS = 6
_PLACE: dict[str, Any] = {"topic": "user.events", "partition": 0}


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    """Return the log with one chain of six rows, as its own role."""
    with audit_log.audit_log(settings) as database:
        with database.transaction() as session:
            append(session, **_PLACE, entries=[entry(offset) for offset in range(_ROWS)])
        yield database


@pytest.fixture
def tamper(servers: RealServers, settings: AllSettings) -> Callable[[str], None]:
    """Return what runs a statement past every right and trigger."""
    return partial(audit_log.tamper, servers, settings)


def _verified(log: Database) -> list[Chain]:
    with log.transaction() as session:
        return list(verify(session))


def test_a_log_without_changes_is_sound(log: Database) -> None:
    assert _verified(log) == [Chain(**_PLACE, rows=_ROWS, fault=None)]


def test_a_redelivered_event_is_kept_once_and_the_chain_continues(log: Database) -> None:
    again, fresh = entry(6), entry(7)
    with log.transaction() as session:
        first = append(session, **_PLACE, entries=[again])
        second = append(session, **_PLACE, entries=[again, fresh, fresh])

    assert (first, second) == (1, 1)
    assert _verified(log) == [Chain(**_PLACE, rows=_ROWS + 2, fault=None)]


_COPY = "insert into audit.events select (jsonb_populate_record(e, jsonb_build_object('id', 'new', 'position', {}))).*"
_EMPTY = "delete from audit.events; delete from audit.chains; "
_SHIFT = """
update audit.events set position = position + 1000 where position > 3;
update audit.events set position = position - 999 where position > 1000;
"""


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update audit.events set value = replace(encode(value, 'escape'), 'test', 'fake')::bytea where position = 3",
         "position 3 was changed"),
        ("update audit.events set subject = 'another' where position = 3", "position 3 was changed"),
        ("update audit.events set hash = sha256('x') where position = 3", "position 3 was changed"),
        ("delete from audit.events where position = 3", "position 3 was removed"),
        ("delete from audit.events where position = 1", "position 1 was removed"),
        ("delete from audit.events where position = 6", "position 6 was removed"),
        (_SHIFT + _COPY.format(4) + " from audit.events e where position = 3", "position 4 was inserted"),
        (_COPY.format(7) + " from audit.events e where position = 6", "position 7 was inserted after the end"),
        (_COPY.format(0) + " from audit.events e where position = 1", "position 0 was inserted"),
        ("update audit.chains set height = 5; delete from audit.events where position = 6",
         "position 5 does not fit the head"),
        (_EMPTY + "insert into audit.positions values ('user.events', 0, 6, 1)",
         "no chain, although 6 records were read"),
    ],
)  # fmt: skip
def test_the_first_row_that_was_changed_removed_or_inserted_is_named(
    log: Database, tamper: Callable[[str], None], statement: str, fault: str
) -> None:
    tamper(statement)

    (chain,) = _verified(log)

    assert chain.fault is not None
    assert chain.fault.startswith(fault)


@pytest.mark.parametrize(
    "act", ["update audit.events set type = 'x'", "delete from audit.events", "truncate audit.events"]
)
def test_the_role_that_writes_can_change_and_remove_nothing(log: Database, act: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), log.transaction() as session:
        session.execute(act)
