"""Checkpoints of the audit log: an end that was cut off is named, although its head was set back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from moneyflow.audit import checkpoints
from moneyflow.audit.append import append
from moneyflow.audit.checkpoints import CheckpointError
from moneyflow.gateways.storage import Storage
from moneyflow.jobs.checkpoint_audit import CheckpointAudit
from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support.audit_log import audit_log, entry, tamper
from tests.support.command_line import moneyflow, moneyflow_json
from tests.support.servers import RealServers
from tests.support.storages import storage_in
from workers.testing import run_jobs

_PLACE: dict[str, Any] = {"topic": "user.events", "partition": 0}
_KEY = b"change-me"
#: What a superuser does who knows how the chain is made: the last two rows never were.
_CUT_OFF = """
delete from audit.events where position > 4;
update audit.chains set height = 4, head_hash = (select hash from audit.events where position = 4);
"""
Append = Callable[[int], None]


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    with audit_log(settings) as database:
        yield database


@pytest.fixture
def append_rows(log: Database) -> Append:
    """Return what appends this many new rows to one chain."""
    offsets = iter(range(1000))

    def append_rows(count: int) -> None:
        with log.transaction() as session:
            append(session, **_PLACE, entries=[entry(next(offsets)) for _ in range(count)])

    return append_rows


@pytest.fixture
def storage(environment: dict[str, str]) -> Iterator[Storage]:
    with storage_in(environment) as storage:
        yield storage


def _verify(environment: dict[str, str], *options: str) -> tuple[int, str, str]:
    """Return the exit code of `moneyflow audit verify`, what it prints, and its notes and errors."""
    done = moneyflow(environment, "audit", "verify", "--json", *options)
    return done.returncode, done.stdout, done.stderr


def test_an_end_that_was_cut_off_with_its_head_is_seen_by_a_checkpoint_alone(
    environment: dict[str, str], settings: AllSettings, servers: RealServers, append_rows: Append
) -> None:
    append_rows(6)
    taken = moneyflow_json(environment, "audit", "checkpoint")["checkpoints"][0]["checkpoint"]

    tamper(servers, settings, _CUT_OFF)

    code, printed, _ = _verify(environment)
    assert (code, f"positions 5 to 6 were removed: the checkpoint {taken} has the head at 6" in printed) == (1, True)
    assert f"positions 5 to 6 were removed: the checkpoint {taken}" in _verify(environment, "--from", taken)[1]
    without = _verify(environment | {"STORAGE_URL": f"{environment['STORAGE_URL']}/another"})
    assert (without[0], "there is no checkpoint yet" in without[2]) == (0, True)


def test_rows_that_were_replaced_with_all_later_hashes_and_the_head_differ_from_the_checkpoint(
    environment: dict[str, str], settings: AllSettings, servers: RealServers, append_rows: Append
) -> None:
    append_rows(6)
    moneyflow_json(environment, "audit", "checkpoint")

    tamper(servers, settings, "delete from audit.events; delete from audit.chains")
    append_rows(8)

    code, printed, _ = _verify(environment)
    assert (code, "position 6 differs from the checkpoint" in printed) == (1, True), printed


def test_verification_from_a_checkpoint_reads_what_follows_it_and_nothing_else(
    environment: dict[str, str], settings: AllSettings, servers: RealServers, append_rows: Append, tmp_path: Path
) -> None:
    append_rows(4)
    taken = moneyflow_json(environment, "audit", "checkpoint")["checkpoints"][0]["checkpoint"]
    append_rows(3)
    copy = tmp_path / "copy.json"
    copy.write_bytes((_folder(environment) / f"{taken}.json").read_bytes())

    before = _verify(environment, "--from", taken), _verify(environment, "--from", str(copy))
    tamper(servers, settings, "update audit.events set subject = 'another' where position in (2, 6)")

    assert [(code, '"rows": 3' in printed) for code, printed, _ in before] == [(0, True)] * 2, before
    assert "position 6 was changed" in _verify(environment, "--from", taken)[1]
    assert "position 2 was changed" in _verify(environment)[1]


def _folder(environment: dict[str, str]) -> Path:
    return Path(environment["STORAGE_URL"].removeprefix("file:")) / "kept" / "audit_checkpoints"


def test_a_checkpoint_that_was_changed_or_is_of_another_key_is_refused_and_one_of_a_former_key_is_not(
    environment: dict[str, str], append_rows: Append
) -> None:
    append_rows(2)
    old = {"AUDIT_CHECKPOINT_KEY": "the key of last year"}
    moneyflow_json(environment | old, "audit", "checkpoint")

    of_another = _verify(environment)
    of_both = _verify(environment | {"AUDIT_CHECKPOINT_KEY": "the key of this year, the key of last year"})
    (file,) = _folder(environment).iterdir()
    file.write_bytes(file.read_bytes().replace(b'"height":2', b'"height":1'))
    changed = _verify(environment | old)

    assert (of_another[0], "is not signed by AUDIT_CHECKPOINT_KEY" in of_another[2]) == (2, True), of_another
    assert of_both[0] == 0, of_both
    assert (changed[0], "is not signed by AUDIT_CHECKPOINT_KEY" in changed[2]) == (2, True), changed


def test_a_key_that_is_not_set_is_asked_for_by_its_name(environment: dict[str, str]) -> None:
    code, _, said = _verify(environment | {"AUDIT_CHECKPOINT_KEY": " , "})

    assert (code, "AUDIT_CHECKPOINT_KEY: no key is set" in said) == (2, True), said


def test_the_daily_job_takes_a_checkpoint_and_signs_no_chain_that_has_lost_rows(
    database: Database, settings: AllSettings, servers: RealServers, append_rows: Append, storage: Storage
) -> None:
    append_rows(6)
    with database.transaction() as session:
        enqueue(session, CheckpointAudit())
        (taken,) = run_jobs(session, gateways=[storage])

    tamper(servers, settings, _CUT_OFF)
    with database.transaction() as session:
        enqueue(session, CheckpointAudit())
        (refused,) = run_jobs(session, gateways=[storage])

    (name,) = checkpoints.names(storage)
    assert taken.result == {"checkpoint": name, "chains": 1}
    assert [head.height for head in checkpoints.read(storage, name, (_KEY,)).heads] == [6]
    assert (refused.outcome, type(refused.error)) == ("failed", CheckpointError)
    assert "user.events 0 has 4 rows, and had 6" in str(refused.error)


@pytest.mark.parametrize("role", ["worker", "operator"])
def test_who_signs_sees_the_heads_and_no_event(settings: AllSettings, role: str) -> None:
    with psycopg.connect(settings.conninfo(role, application_name="test"), autocommit=True) as connection:
        connection.execute("select * from audit.chains")
        for act in ("select * from audit.events", "update audit.chains set height = 0", "select * from audit.seals"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(act)


def test_checkpoints_are_no_files_that_a_sweep_deletes(storage: Storage, database: Database) -> None:
    with database.transaction() as session:
        taken = checkpoints.take(session, storage, (_KEY,))

    assert list(storage.keys(written_before=clock.now().replace(year=clock.now().year + 1))) == []
    assert checkpoints.names(storage) == [taken.name]
