"""A second stack on this machine: the commands of a copy of the checkout, and what they show."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from ops.dev.stack.application import CONSUMERS
from ops.dev.stack.processes import identify
from tests.support.waiting import eventually

#: The servers and processes of a stack, by the names that `make status` shows.
SERVERS = {"postgres", "rabbitmq", "epmd", "kafka", "redis", "mail", "crm", "nginx"}
PROGRAMS = {"api", "relay-1", "relay-2", "worker-1", "worker-2", *CONSUMERS.values()}
_ROW = re.compile(r"([\w-]+)\s+│\s*pid (\d+|-)(?:, (127\.0\.0\.1:\d+))?\s+│\s*(.*?)\s*│")


class SecondStack:
    """The commands of a checkout's stack."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    @property
    def home(self) -> Path:
        """Return the folder of its data, once it was started."""
        return (self.checkout / ".stack").resolve()

    def run(self, *arguments: str, module: str = "ops.dev.stack") -> "subprocess.CompletedProcess[str]":
        """Run a command, by default one of the stack, on a terminal of 80 columns."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.checkout, capture_output=True, text=True, check=False, timeout=360,
            env={**os.environ, "COLUMNS": "80"},
        )  # fmt: skip

    def answer(self, *arguments: str, module: str = "ops.dev.stack") -> str:
        """Run a command that has to succeed, and return its output."""
        done = self.run(*arguments, module=module)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill_a_start(self) -> None:
        """Start everything, and kill the command as soon as its first server is ready."""
        log = self.checkout / "killed.log"
        with log.open("w") as output:
            command = [sys.executable, "-m", "ops.dev.stack", "up", "--with", "native"]
            killed = subprocess.Popen(command, cwd=self.checkout, stderr=output)
        eventually(lambda: "✓ postgres" in log.read_text(), seconds=240, what="the start is half-way")
        killed.kill()
        killed.wait()

    def up(self) -> None:
        """Start or repair everything."""
        self.answer("up", "--with", "native")

    def rows(self) -> dict[str, tuple[str, str, str]]:
        """Return pid, address and status of each server and process, as they are shown."""
        shown = self.run("status").stdout
        rows = {name: (pid, where, status) for name, pid, where, status in _ROW.findall(shown)}
        assert rows.keys() >= SERVERS | PROGRAMS | {"supervisor"}, shown
        return rows

    def environment(self) -> dict[str, str]:
        """Return what `make env` prints."""
        return dict(line.split("=", 1) for line in self.answer("env").splitlines())

    def kill(self, pid: str) -> None:
        """Kill a process, and wait until it has ended."""
        identity = identify(int(pid))
        assert identity
        os.kill(identity.pid, signal.SIGKILL)
        assert identity.wait_gone(20)
