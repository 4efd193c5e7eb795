"""What a test starts ends with it, and what that has started too."""

from pathlib import Path

import psutil

from tests.support.processes import Processes
from tests.support.waiting import eventually

_STARTS_ANOTHER = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


def test_the_processes_of_a_process_end_with_the_test(tmp_path: Path) -> None:
    with Processes({}, tmp_path) as processes:
        parent = processes.plain("-c", _STARTS_ANOTHER)
        child = psutil.Process(int(eventually(parent.log, what="it has printed the other's pid")))
        assert child.is_running()

    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the child has ended")
    assert not parent.is_running()
