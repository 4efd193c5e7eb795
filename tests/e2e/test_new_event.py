"""`moneyflow new event`: what it writes passes all checks and its own test, on an old topic and on a new one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".stack", "__pycache__", ".*_cache", ".tools")
_EVENTS = "moneyflow/events"


def _run(checkout: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def _texts(checkout: Path) -> dict[str, bytes]:
    files = (path for path in checkout.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(checkout)): path.read_bytes() for path in files}


@pytest.mark.timeout(600)
def test_what_is_written_passes_every_check_and_its_own_test(tmp_path: Path) -> None:
    checkout = Path(shutil.copytree(_ROOT, tmp_path / "checkout", ignore=_LEFT_OUT))
    before, bin_folder = _texts(checkout), Path(sys.executable).parent
    new = (sys.executable, "-m", "ops.cli", "new", "event")

    waved = _run(checkout, *new, "transaction.waved", "--field", "on:date", "--field", "old_id:UUID?")
    sent = _run(checkout, *new, "specimen.found", "--field", "amount:Decimal", "--does", "a specimen was found")
    lost = _run(checkout, *new, "specimen.lost", "--field", "at:datetime")
    again = _run(checkout, *new, "specimen.lost")
    changed = {path for path, text in _texts(checkout).items() if before.get(path) != text}

    assert [done.returncode for done in (waved, sent, lost, again)] == [0, 0, 0, 2], sent.stderr + lost.stderr
    names = ("transaction.waved", "specimen.found", "specimen.lost")
    tests = [f"tests/integration/test_{name.replace('.', '_')}_event.py" for name in names]
    assert changed == {
        f"{_EVENTS}/transaction.py", f"{_EVENTS}/specimen.py", f"{_EVENTS}/topics.py", *tests,
        *(f"tests/contracts/events/{name}.1.json" for name in names),
        *(f"tests/contracts/events/samples/{name}.1.json" for name in names),
    }  # fmt: skip
    sources = sorted(path for path in changed if path.endswith(".py"))
    for command in (
        (str(bin_folder / "ruff"), "format", "--check", "--no-cache", *sources),
        (str(bin_folder / "ruff"), "check", "--no-cache", *sources),
        (str(bin_folder / "mypy"), "--cache-dir", str(_ROOT / ".mypy_cache/of_new_jobs"), *sources),
        (sys.executable, "-m", "ops.cli", "contracts", "check"),
        (
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests,
            "tests/unit/test_event_contracts.py", "tests/unit/test_asyncapi.py", "tests/unit/test_schemas.py",
        ),
    ):  # fmt: skip
        done = _run(checkout, *command)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
