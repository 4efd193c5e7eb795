"""Requests made from the OpenAPI document, good and bad: the API answers each as the document says.

`make acceptance ARGS=api` has the long form, which also sends the bounds of each member: most of a run's seconds.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database
from moneyflow.settings import load_all
from tests.support.processes import Process, Processes
from tests.support.stored import store_ids

_ROOT = Path(__file__).parents[2]
_CONFIGURATION = _ROOT / "tests" / "support" / "schemathesis" / "schemathesis.toml"
_DOCUMENT = _ROOT / "tests" / "contracts" / "openapi.json"
_METHODS = {"get", "post", "put", "patch", "delete"}


def _options(cases: int, *, is_long: bool) -> list[str]:
    """Return the options by which schemathesis makes at least that many requests, and not many more."""
    paths = json.loads(_DOCUMENT.read_text(encoding="utf-8"))["paths"].values()
    operations = sum(len(_METHODS & path.keys()) for path in paths)
    phases = ["examples", *(["coverage"] if is_long else []), "fuzzing", "stateful"]
    return ["--phases", ",".join(phases), "--max-examples", str(math.ceil(cases / operations)), "--seed", str(cases)]


def _run(api: Process, environment: dict[str, str], *, options: list[str], folder: Path) -> dict[str, Any]:
    """Run schemathesis and return its report; all checks are on."""
    report = folder / "report.json"
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(_CONFIGURATION), "run",
        f"http://127.0.0.1:{api.port}/openapi.json", "--checks", "all", "--continue-on-failure", *options,
        "--workers", "2", "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


@pytest.mark.timeout(3600)
def test_every_answer_is_one_that_the_document_describes(
    environment: dict[str, str],
    database: Database,
    processes: Processes,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    cases, results = pytestconfig.getoption("--api-cases"), pytestconfig.getoption("--api-results")
    api = processes.api(API_LIMITS_FACTOR="1000000")
    ids = store_ids(database, storage_of(load_all(environment)))
    settings = os.environ | environment | ids | {"PYTHONPATH": str(_ROOT)}

    report = _run(api, settings, options=_options(cases, is_long=bool(results)), folder=tmp_path)

    if results:
        kept = {name: report[name] for name in ("schemathesis_version", "seed", "operations", "phases", "test_cases")}
        Path(results, "schemathesis.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    assert report["complete"]
    assert (report["failures"], report["errors"]) == ([], [])
    assert report["test_cases"]["generated"] >= cases
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert "request_failed" not in api.log()
