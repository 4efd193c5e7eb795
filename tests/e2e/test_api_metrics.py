"""Metrics of the API's processes: the counts of dead ones stay, and their files do not pile up."""

import signal
from pathlib import Path

import psutil

from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

_COUNTED = 'moneyflow_http_requests_total{method="GET",route="/healthz",status="200"}'


def _count(api: Process) -> float:
    lines = api.get("/metrics").text.splitlines()
    return next((float(line.removeprefix(_COUNTED)) for line in lines if line.startswith(_COUNTED)), 0.0)


def _children(api: Process) -> set[psutil.Process]:
    assert api.popen
    return set(psutil.Process(api.popen.pid).children())


def test_the_counts_of_dead_processes_stay_and_their_files_do_not_pile_up(
    platform: AllSettings, processes: Processes, tmp_path: Path
) -> None:
    assert platform
    folder = tmp_path / "temporary"
    folder.mkdir()
    api = processes.api(TMPDIR=str(folder), API_PROCESSES="2")
    asked = 0

    for _ in range(5):
        for _ in range(4):
            assert api.get("/healthz").status_code == 200
            asked += 1
        for child in (before := _children(api)):
            child.send_signal(signal.SIGKILL)
        eventually(lambda: len(_children(api)) == 2 and _children(api).isdisjoint(before), what="two others run")
        eventually(api.is_ready, what="they answer")

    assert _count(api) == asked
    alive = {str(child.pid) for child in _children(api)}
    files = {path.stem.rpartition("_")[2] for path in folder.glob("*/*.db")}
    assert "ended" in files
    assert files <= alive | {"ended"}


def test_the_folder_of_a_killed_api_is_deleted_by_the_next_one(
    platform: AllSettings, processes: Processes, tmp_path: Path
) -> None:
    assert platform
    folder = tmp_path / "temporary"
    folder.mkdir()
    first = processes.api(TMPDIR=str(folder))
    (left,) = folder.glob("money-flow-api-*")

    first.kill_all()
    second = processes.api(TMPDIR=str(folder))
    (own,) = folder.glob("money-flow-api-*")
    second.stop()

    assert own != left
    assert list(folder.glob("money-flow-api-*")) == []
