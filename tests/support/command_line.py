"""`moneyflow` as an operator calls it: a process of its own, with the test's environment."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

_ROOT = Path(__file__).parents[2]


def moneyflow(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, whatever that is."""
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        env=os.environ | environment | {"PYTHONPATH": str(_ROOT), "COLUMNS": "200"},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def moneyflow_json(environment: dict[str, str], *arguments: str) -> Any:
    """Run a command that must do what it was asked to, and return what it prints with `--json`."""
    done = moneyflow(environment, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)
