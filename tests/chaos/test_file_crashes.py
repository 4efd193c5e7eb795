"""Writers, workers and sweeps that are killed at every point leave no file without a row, and no row without a file.

APIs that take uploads, workers that make files of them and workers that write exports die before and after the rename
of a file, and before and after the commit of its row; then sweeps die between two files that they delete.
"""

import hashlib
import random
import signal
from contextlib import suppress
from datetime import date
from functools import partial
from io import BytesIO
from uuid import UUID

import httpx
import psycopg
import pytest
from PIL import Image

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.jobs.sweep_files import SweepFiles
from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from moneyflow.statements.exports import exports
from moneyflow.statements.exports.exports import Period
from tests.support import jobs, people
from tests.support.callers import bearer
from tests.support.leave_file import LeaveFile
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

_POINTS = ("storage.before_rename", "storage.renamed", "session.before_commit", "session.after_commit")
#: The time at which a process reaches the point that kills it, at most.
_MOST = 6
_YEAR = Period(first=date(2026, 1, 1), last=date(2026, 12, 31))


def _png() -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    return out.getvalue()


_IMAGE = _png()


def _until_killed(dying: Process, point: str) -> None:
    eventually(lambda: not dying.is_running(), what=f"a process dies at {point}")
    assert dying.exit_code() == -signal.SIGKILL, dying.log()
    assert f"dies at {point}" in dying.log()


def _kill_apis(processes: Processes, database: Database, settings: AllSettings, dice: random.Random) -> None:
    """Have an API die at each point while people upload their avatars."""
    people_headers = [bearer(settings, user_id=people.add(database)) for _ in range(3)]
    apis = {
        point: processes.api(sabotage=f"dies_at:{point}:{dice.randint(1, _MOST)}", wait_ready=False, API_PROCESSES="1")
        for point in _POINTS
    }

    def all_are_dead() -> bool:
        alive = [api for api in apis.values() if api.is_running()]
        for api in alive:
            with suppress(httpx.TransportError):
                _upload(api, dice.choice(people_headers))
        return not alive

    eventually(all_are_dead, what="each API dies at its point")
    for point, api in apis.items():
        _until_killed(api, point)


def _upload(api: Process, headers: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{api.port}/v1/users/me/avatar"
    httpx.put(url, content=_IMAGE, headers=headers, timeout=30, trust_env=False).raise_for_status()


def _kill_workers(processes: Processes, database: Database, dice: random.Random) -> list[UUID]:
    """Have a worker die at each point, one after the other; return the jobs, which all end all the same."""
    ids: list[UUID] = []
    for point in dice.sample(_POINTS, len(_POINTS)):
        worker = processes.worker(sabotage=f"dies_at:{point}:{dice.randint(1, _MOST)}", wait_ready=False)
        while worker.is_running():
            ids += jobs.enqueue(database, *[LeaveFile()] * 5)
            eventually(partial(_has_ended_or_done, worker, database, ids), what=f"a worker reaches {point}")
        _until_killed(worker, point)
    return ids


def _kill_exporters(
    processes: Processes, database: Database, settings: AllSettings, dice: random.Random
) -> list[exports.Requested]:
    """Have a worker die at each point while it writes exports; return those that were asked for."""
    owner_id = people.add(database)
    api = Database(settings.conninfo("app", application_name="test"), size=1)
    api.open()
    asked: list[exports.Requested] = []
    for point in dice.sample(_POINTS, len(_POINTS)):
        worker = processes.worker(sabotage=f"dies_at:{point}:{dice.randint(1, 3)}", wait_ready=False)
        with api.transaction() as session:
            scope = OwnerScope(session=session, owner_id=owner_id)
            asked += [exports.request_statement(scope, _YEAR, format="csv") for _ in range(3)]
        _until_killed(worker, point)
    api.close()
    return asked


def _has_ended_or_done(worker: Process, database: Database, ids: list[UUID]) -> bool:
    return not worker.is_running() or jobs.states(database, ids)["succeeded"] == len(ids)


def _unfinished(database: Database) -> int:
    with database.transaction() as session:
        return len(session.fetch_all("select 1 from jobs where state in ('scheduled', 'queued', 'running')"))


def _mailed(database: Database) -> list[UUID]:
    with database.transaction() as session:
        rows = session.fetch_all("select payload ->> 'export_id' as id from jobs where kind = 'send_export' order by 1")
        files = session.fetch_all(
            "select export.id, file.owner_id from exports export join files file on file.id = file_id"
        )
    assert {UUID(row["id"]) for row in rows} == {row["id"] for row in files}, "and each has its file"
    return [UUID(row["id"]) for row in rows]


def _named(database: Database) -> set[str]:
    with database.transaction() as session:
        return {row["key"] for row in session.fetch_all("select key from files")}


def _delete_some(database: Database, settings: AllSettings, dice: random.Random) -> None:
    """Delete an owner, and some jobs, each with their files."""
    with database.transaction() as session:
        owners = session.fetch_all("select distinct owner_id from files where owner_id is not null order by owner_id")
        owner = dice.choice(owners)["owner_id"]
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        connection.execute("delete from users where id = %s", [owner])
        connection.execute("delete from jobs where id in (select job_id from files where job_id is not null limit 3)")


def _sweep(processes: Processes, database: Database, dice: random.Random) -> None:
    """Sweep with no grace, as nothing writes any more: by workers that die at it, and then by one that does not."""
    (sweep,) = jobs.enqueue(database, SweepFiles(grace_seconds=0))
    for _ in range(2):
        dying = processes.worker(sabotage=f"dies_at:sweep.deleted:{dice.randint(1, 3)}", wait_ready=False)
        _until_killed(dying, "sweep.deleted")
    processes.worker(wait_ready=False)
    jobs.until_all(database, [sweep], "succeeded")


def _content(storage: Storage, key: str) -> str:
    with storage.open(key) as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.timeout(240)
def test_after_crashes_of_all_that_writes_files_a_sweep_leaves_each_file_with_its_row_and_each_row_with_its_file(
    platform: AllSettings, database: Database, processes: Processes, seed: int
) -> None:
    dice, storage = random.Random(f"files/{seed}"), storage_of(platform)
    processes.relay(sabotage="looks_often")

    _kill_apis(processes, database, platform, dice)
    ids = _kill_workers(processes, database, dice)
    asked = _kill_exporters(processes, database, platform, dice)
    finisher = processes.worker(wait_ready=False)
    jobs.until_all(database, [*ids, *(one.job_id for one in asked)], "succeeded")
    eventually(lambda: _unfinished(database) == 0, what="the avatars are made")
    finisher.stop()
    assert _mailed(database) == sorted(one.id for one in asked), "each export is mailed once"
    unnamed = set(storage.keys(written_before=clock.now())) - _named(database)
    assert len(unnamed) >= 4, "what died before and after a rename has left a file"
    _delete_some(database, platform, dice)
    _sweep(processes, database, dice)

    with database.transaction() as session:
        rows = session.fetch_all("select key, sha256, job_id from files")
        waiting = session.fetch_all("select key from file_deletions")
    kept = set(storage.keys(written_before=clock.now()))
    assert kept == {row["key"] for row in rows}, "no file without a row, and no row without a file"
    assert waiting == []
    assert all(_content(storage, row["key"]) == row["sha256"] for row in rows), "and each file is whole"
    of_jobs = [row["job_id"] for row in rows if row["job_id"] is not None]
    assert len(of_jobs) == len(set(of_jobs)) == len(ids) - 3, "each job that is left has one file"
