"""`python -m tests.acceptance [AREA …]`: run the long forms of these areas, or of all, and keep the result of each.

Each area has a folder in `tests/acceptance/results/` with its `result.json` and the reports of its own tests.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.result import read_counts, write
from tests.acceptance.versions import server_versions

_RESULTS = Path(__file__).parent / "results"
#: The arguments of pytest that run the long form of each area; `{folder}` is for reports of its own.
AREAS = {
    "api": (
        "tests/e2e/test_address_timing.py", "tests/e2e/test_schemathesis.py", "tests/e2e/test_front_door.py",
        "tests/e2e/test_slow_clients.py", "tests/e2e/test_api_crashes.py", "-n", "0", "--long", "--api-kills", "10",
        "--address-samples", "200", "--api-cases", "5000", "--api-results", "{folder}", "--slow-rounds", "5",
    ),
    "chaos": ("tests/chaos", "-n", "0", "--chaos-seed", "1", "--chaos-rounds", "5", "--chaos-results", "{folder}"),
    "events": (
        "tests/chaos/test_event_storms.py", "tests/e2e/test_consumer_restarts.py", "tests/e2e/test_consumer_memory.py",
        "tests/integration/test_audit_verification.py", "--audit-rows", "1000000", "--audit-results", "{folder}",
        "tests/integration/test_analytics_speed.py", "tests/integration/test_analytics_history.py",
        "--sums-of", "1000000", "--sums-results", "{folder}", "--histories", "200",
        "-n", "0", "--long", "--events", "200000", "--consumer-restarts", "10", "--backlog", "1000000",
        "--chaos-results", "{folder}",
    ),
    "import": (
        "tests/e2e/test_statement_import.py", "tests/unit/test_spreadsheets.py", "-n", "0",
        "--import-rows", "100000", "--import-results", "{folder}", "--spreadsheets", "5000",
    ),
    "jobs": (
        "tests/e2e/test_bad_neighbours.py", "tests/e2e/test_new_job.py", "tests/e2e/test_lost_messages.py",
        "tests/integration/test_batches.py", "tests/e2e/test_benchmarks.py", "-n", "0", "--long",
        "--neighbours", "1000", "--all-types", "--thousands", "10",
    ),
    "money": (
        "tests/integration/test_transaction_plans.py", "-n", "0",
        "--transactions", "1000000", "--money-results", "{folder}",
    ),
    "payments": (
        "tests/e2e/test_payments.py", "-n", "0",
        "--payments", "10000", "--stripe-payments", "200", "--payments-results", "{folder}",
    ),
    "stack": (
        "tests/e2e/test_api_socket.py", "tests/e2e/test_stack_repair.py", "-n", "0",
        "--replacements", "3", "--one-by-one", "--long",
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run each area after the other; return 1 when the tests of one did not all pass."""
    parser = argparse.ArgumentParser(prog="make acceptance", description="Run the long forms of tests.")
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"any of {', '.join(AREAS)}; all without one")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="the folder to keep the results in")
    parser.add_argument("--pytest", default="", metavar="OPTIONS", help='for pytest, as --pytest="--chaos-rounds 20"')
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.areas if name not in AREAS]:
        parser.error(f"no area {unknown[0]!r}: there are {', '.join(AREAS)}")
    codes = [_run(area, asked.results / area, shlex.split(asked.pytest)) for area in asked.areas or AREAS]
    return int(any(codes))


def _run(area: str, folder: Path, options: Sequence[str]) -> int:
    """Run the long form of an area, keep its result, and return the exit code of pytest."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [argument.format(folder=folder) for argument in AREAS[area]] + list(options)
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-v", *arguments, f"--junit-xml={report}"]
        code = subprocess.run(command, check=False).returncode
        if report.exists():
            path = write(folder, area, read_counts(report), options=options, servers=server_versions())
            print(f"{area}: {path.read_text(encoding='utf-8')}{path}")
    return code


if __name__ == "__main__":
    sys.exit(main())
