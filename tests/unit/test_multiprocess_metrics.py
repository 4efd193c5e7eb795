"""Metrics of processes that share a folder: the counts of those that have ended stay, and their files do not."""

import subprocess
import sys
import threading
from pathlib import Path

from moneyflow.platform.telemetry.metrics import metrics_text
from moneyflow.platform.telemetry.multiprocess import fold
from tests.support.waiting import eventually

_ROOT = Path(__file__).parents[2]
_PROCESS = """
import os
from prometheus_client import Counter, Gauge, Histogram
counter = Counter("one", "Counts", ["route"])
counter.labels("/a").inc(3)
counter.labels("/b").inc()
Histogram("seconds", "Times", buckets=(1, 2)).observe(1.5)
Gauge("level", "How it is", multiprocess_mode="livesum").set(7)
print(os.getpid())
"""


def _counting_process(folder: Path) -> int:
    """Run a process that counts and ends, and return its pid."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS], env={"PROMETHEUS_MULTIPROC_DIR": str(folder)}, cwd=_ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def _value(folder: Path, name: str) -> float:
    lines = metrics_text(str(folder)).decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def test_the_counts_of_ended_processes_are_added_up_in_one_file_of_each_kind(tmp_path: Path) -> None:
    for _ in range(4):
        fold(tmp_path, _counting_process(tmp_path))

    assert _value(tmp_path, 'one_total{route="/a"}') == 12
    assert _value(tmp_path, 'one_total{route="/b"}') == 4
    assert _value(tmp_path, 'seconds_bucket{le="2.0"}') == 4
    assert _value(tmp_path, "seconds_sum") == 6
    assert {path.name for path in tmp_path.glob("*.db")} == {"counter_ended.db", "histogram_ended.db"}


def test_a_process_that_is_folded_twice_is_counted_once(tmp_path: Path) -> None:
    pid = _counting_process(tmp_path)

    fold(tmp_path, pid)
    fold(tmp_path, pid)

    assert _value(tmp_path, 'one_total{route="/a"}') == 3


def test_the_sum_never_changes_for_a_reader_while_processes_are_folded(tmp_path: Path) -> None:
    pids = [_counting_process(tmp_path) for _ in range(6)]
    seen: set[float] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(_value(tmp_path, 'one_total{route="/a"}'))

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: seen, what="the reader has begun")
    for pid in pids:
        fold(tmp_path, pid)
    ended.set()
    reader.join()

    assert seen == {18}
