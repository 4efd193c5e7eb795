"""`sweep_files`: no file without a row, no row without a file, and whatever ends a sweep, the next one finishes."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog

from moneyflow.gateways.storage import Storage, files, new_key
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.sweep import sweep
from moneyflow.jobs.sweep_files import SweepFiles
from moneyflow.platform import clock, failpoints
from moneyflow.platform.database import Database
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from tests.support.storages import bucket_settings, s3_server, storage_in
from workers.testing import run_jobs

_DAY_SECONDS = 86_400


class _CrashError(Exception):
    """The process died."""


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "files")


@pytest.fixture
def owner_id(database: Database) -> UUID:
    return people.add(database)


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    failpoints.set_hook(None)


def _store(storage: Storage, database: Database, owner_id: UUID, *, count: int = 1) -> list[str]:
    """Store files with their rows; return their keys."""
    keys = []
    for number in range(count):
        written = storage.write(new_key("private" if number % 2 else "public"), [b"x"])
        with database.transaction() as session:
            files.add(session, written, name="a", content_type="text/csv", owner_id=owner_id)
        keys.append(written.key)
    return keys


def _sweep(database: Database, storage: Storage, *, seconds: float = 0, batch_keys: int = 500) -> dict[str, Any]:
    with database.transaction() as session:
        return sweep(session, storage, grace=timedelta(seconds=seconds), batch_keys=batch_keys)


def _keys(storage: Storage) -> set[str]:
    return set(storage.keys(written_before=clock.now() + timedelta(seconds=5)))


def _age(storage: FileStorage, key: str, *, seconds: float) -> None:
    path = storage.path(key)
    os.utime(path, (time.time() - seconds, time.time() - seconds))


@pytest.mark.parametrize("batch_keys", [1, 3, 500])
def test_files_without_a_row_go_and_all_others_stay(
    storage: FileStorage, database: Database, owner_id: UUID, batch_keys: int
) -> None:
    kept = set(_store(storage, database, owner_id, count=7))
    for _ in range(5):
        storage.write(new_key("private"), [b"x"])

    first = _sweep(database, storage, batch_keys=batch_keys)
    second = _sweep(database, storage, batch_keys=batch_keys)

    assert _keys(storage) == kept
    assert first == {"deleted": 0, "unnamed": 5, "missing": 0, "seen": 12}
    assert second == {"deleted": 0, "unnamed": 0, "missing": 0, "seen": 7}


@pytest.mark.parametrize("batch_keys", [1, 3, 500])
def test_rows_without_a_file_are_counted_logged_and_kept(
    storage: FileStorage, database: Database, owner_id: UUID, batch_keys: int
) -> None:
    keys = sorted(_store(storage, database, owner_id, count=9))
    for key in (keys[0], keys[4], keys[5], keys[8]):
        storage.delete(key)

    with structlog.testing.capture_logs() as logs:
        swept = _sweep(database, storage, batch_keys=batch_keys)

    assert (swept["missing"], swept["unnamed"], swept["deleted"]) == (4, 0, 0)
    assert swept["alarm"] == "4 files are missing in the storage"
    assert len([line for line in logs if line["event"] == "file_missing"]) == 4
    with database.transaction() as session:
        assert len(session.fetch_all("select 1 from files")) == 9


def test_files_go_with_their_rows_whatever_deleted_those(
    storage: FileStorage, database: Database, owner_id: UUID
) -> None:
    keys = _store(storage, database, owner_id, count=5)
    kept = _store(storage, database, people.add(database))
    with database.transaction() as session:
        session.execute("update files set expires_at = clock_timestamp() where key = %(key)s", {"key": keys[0]})
        session.execute("delete from files where expires_at < clock_timestamp()")
        session.execute("delete from users where id = %(id)s", {"id": owner_id})

    assert _sweep(database, storage, seconds=_DAY_SECONDS, batch_keys=2)["deleted"] == 5

    assert _keys(storage) == set(kept)
    with database.transaction() as session:
        assert session.fetch_all("select 1 from file_deletions") == []


def test_a_file_younger_than_the_grace_may_still_get_its_row(storage: FileStorage, database: Database) -> None:
    young, old = (storage.write(new_key("private"), [b"x"]).key for _ in range(2))
    _age(storage, old, seconds=_DAY_SECONDS + 60)
    _age(storage, young, seconds=_DAY_SECONDS - 60)

    with database.transaction() as session:
        enqueue(session, SweepFiles())
        (ran,) = run_jobs(session, gateways=[storage])

    assert ran.outcome == "succeeded"
    assert ran.result is not None
    assert ran.result["unnamed"] == 1
    assert _keys(storage) == {young}


def test_a_row_that_commits_after_the_sweep_began_saves_its_old_file(
    storage: FileStorage, database: Database, owner_id: UUID
) -> None:
    (key,) = _store(storage, database, owner_id)
    _age(storage, key, seconds=7200)

    assert _sweep(database, storage, seconds=3600)["unnamed"] == 0
    assert _keys(storage) == {key}


def test_a_restored_file_that_is_newer_than_its_row_is_not_missing(
    storage: FileStorage, database: Database, owner_id: UUID
) -> None:
    (key,) = _store(storage, database, owner_id)
    _age(storage, key, seconds=-3600)

    assert _sweep(database, storage)["missing"] == 0


def test_a_sweep_that_dies_at_any_file_is_finished_by_the_next_one(
    storage: FileStorage, database: Database, owner_id: UUID
) -> None:
    deleted = _store(storage, database, owner_id, count=3)
    kept = set(_store(storage, database, people.add(database), count=3))
    for _ in range(3):
        storage.write(new_key("public"), [b"x"])
    with database.transaction() as session:
        session.execute("delete from files where key = any(%(keys)s)", {"keys": deleted})

    reached = 0

    def crash(point: str) -> None:
        nonlocal reached
        if point == "sweep.deleted":
            reached += 1
            raise _CrashError

    failpoints.set_hook(crash)
    for _ in range(4):  # Each deletes one more file: of the first batch each time the first, and of what is unnamed.
        with pytest.raises(_CrashError):
            _sweep(database, storage, batch_keys=1)
    failpoints.set_hook(None)
    left = _sweep(database, storage)

    assert reached == 4
    assert left["missing"] == 0
    assert _keys(storage) == kept
    assert _sweep(database, storage) == {"deleted": 0, "unnamed": 0, "missing": 0, "seen": 3}


def test_a_sweep_of_a_storage_that_is_down_is_retried(
    storage: FileStorage, database: Database, owner_id: UUID, tmp_path: Path
) -> None:
    _store(storage, database, owner_id)
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    (tmp_path / "files").write_text("no folder")

    with database.transaction() as session:
        session.execute("delete from files")
        enqueue(session, SweepFiles())
        (ran,) = run_jobs(session, gateways=[storage])

    assert (ran.outcome, type(ran.error)) == ("retried", UnavailableError)


def test_a_bucket_is_swept_as_a_folder_is(database: Database, owner_id: UUID, tmp_path: Path) -> None:
    with s3_server(tmp_path) as address, storage_in(bucket_settings(address)) as bucket:
        keys = _store(bucket, database, owner_id, count=4)
        bucket.write(new_key("private"), [b"x"])
        bucket.delete(keys[0])
        with database.transaction() as session:
            session.execute("delete from files where key = %(key)s", {"key": keys[1]})

        time.sleep(1.1)  # The times of a bucket have whole seconds.
        swept = _sweep(database, bucket, batch_keys=2)

        assert (swept["deleted"], swept["unnamed"], swept["missing"]) == (1, 1, 1)
        assert _keys(bucket) == set(keys[2:])
