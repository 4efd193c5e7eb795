"""`make bench` on real servers with small numbers, whose figures are not judged: every system has all its figures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_COLUMNS = ["p50_ms", "p90_ms", "p99_ms", "max_ms"]
_CONDITIONS = ["cpus", "python", "postgres", "rabbitmq", "dramatiq", "celery", "procrastinate", "rounds", "jobs"]


def _bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ops.dev.bench.jobs", *arguments],
        cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_a_part_writes_all_figures_of_every_system_and_their_conditions(tmp_path: Path) -> None:
    done = _bench("pickup", "--rounds", "1", "--jobs", "40", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr[-8000:]

    written: dict[str, Any] = json.loads((tmp_path / "pickup.json").read_text(encoding="utf-8"))

    assert {row["system"] for row in written["rows"]} == {"Money Flow", "Dramatiq", "Procrastinate"}
    for row in written["rows"]:
        assert [name for name in _COLUMNS if not isinstance(row.get(name), int | float)] == [], row
    assert [name for name in _CONDITIONS if name not in written["conditions"]] == []
    assert all(isinstance(target["holds"], bool) for target in written["targets"])


def test_an_unknown_part_is_refused_with_the_names_of_all_parts() -> None:
    done = _bench("througput")

    assert done.returncode == 2
    assert "there is no part througput" in done.stderr
    assert "throughput" in done.stderr
