"""`python -m ops.dev.stack.guardian PID FOLDER`: kill the servers whose pids FOLDER keeps once process PID ends."""

import os
import select
import shutil
import signal
import sys
from pathlib import Path

from ops.dev.stack.home import State
from ops.dev.stack.processes import Identity


def main() -> None:
    """Wait for the end of the process, then kill its servers and delete their folder."""
    parent, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.setsid()  # A Ctrl-C in the process's terminal must not end the guardian.
    select.select([os.pidfd_open(parent)], [], [])
    for kept in State(folder).read().get("pids", {}).values():
        Identity(*kept).signal(signal.SIGKILL, group=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
