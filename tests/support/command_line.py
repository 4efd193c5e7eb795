"""`moneyflow` as an operator calls it: a process of its own, with the test's environment."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import orjson

from tests.support.forks import Fork

_ROOT = Path(__file__).parents[2]


def moneyflow(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, whatever that is."""
    with tempfile.TemporaryDirectory() as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        process = Fork(
            "ops.cli",
            *arguments,
            environment=os.environ | environment | {"PYTHONPATH": str(_ROOT), "COLUMNS": "200"},
            folder=_ROOT,
            output=output,
            errors=errors,
        )
        try:
            code = process.wait(60)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


def moneyflow_json(environment: dict[str, str], *arguments: str) -> Any:
    """Run a command that must do what it was asked to, and return what it prints with `--json`."""
    done = moneyflow(environment, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)
