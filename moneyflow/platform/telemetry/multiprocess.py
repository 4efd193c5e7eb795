"""Metrics of several processes that share a folder, each with files of its own, as prometheus_client writes them.

The counts of a process that has ended are kept, or the sums would fall: they are added to one file, so that the folder
holds as many files as processes run, however many have ended.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

#: In place of a pid, in the names of the files of all processes that have ended.
_ENDED = "ended"
#: What is added up. A gauge says how a process is, so it ends with the process.
_SUMMED = ("counter", "histogram", "summary")


def fold(directory: Path, pid: int) -> None:
    """Add what a process has counted to the file of those that have ended, and delete its own files; repeatable."""
    with _locked(directory, fcntl.LOCK_EX):
        for kind in _SUMMED:
            own = directory / f"{kind}_{pid}.db"
            if own.exists():
                _add(own, directory / f"{kind}_{_ENDED}.db")
                own.unlink()
        for gauge in directory.glob(f"gauge_*_{pid}.db"):
            gauge.unlink()


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """Let no process be folded during the block: its counts would be read twice, or not at all."""
    with _locked(directory, fcntl.LOCK_SH):
        yield


def _add(source: Path, target: Path) -> None:
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    try:
        known = {key: value for key, value, *_ in sums.read_all_values()}  # type: ignore[no-untyped-call]
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
            sums.write_value(key, known.get(key, 0.0) + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        sums.close()  # type: ignore[no-untyped-call]


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
