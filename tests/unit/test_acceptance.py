"""`make acceptance`: what a kept result says, and that every long form is in an area."""

import json
from pathlib import Path

import pytest

from tests.acceptance.__main__ import AREAS, main
from tests.acceptance.result import Counts, read_counts, write

_ROOT = Path(__file__).parents[2]
_REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5" time="61.7" hostname="a-host"
 timestamp="2026-01-01T00:00:00">
<testcase classname="tests.chaos.test_storms" name="test_a[1]" time="20" />
<testcase classname="tests.chaos.test_storms" name="test_a[2]" time="20"><failure message="no">no</failure></testcase>
<testcase classname="tests.chaos.test_storms" name="test_b" time="20"><skipped message="no" /></testcase>
<testcase classname="tests.chaos.test_storms" name="test_c" time="1"><error message="no">setup</error></testcase>
<testcase classname="tests.chaos.test_storms" name="test_d" time="1" />
<testcase classname="tests.chaos.test_storms" name="test_d" time="1"><error message="no">teardown</error></testcase>
</testsuite></testsuites>"""
_COUNTS = Counts(passed=3, failed=1, skipped=0, seconds=60, failed_tests=("tests.chaos.test_storms::test_a[2]",))


def test_the_counts_are_of_tests_and_an_error_of_a_fixture_fails_its_test(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(_REPORT)

    counts = read_counts(report)

    failed = ("test_a[2]", "test_c", "test_d")
    assert (counts.passed, counts.failed, counts.skipped, counts.seconds) == (1, 3, 1, 62)
    assert counts.failed_tests == tuple(f"tests.chaos.test_storms::{name}" for name in failed)


def test_a_result_has_versions_cores_counts_and_seconds(tmp_path: Path) -> None:
    path = write(tmp_path, "chaos", _COUNTS, options=["--chaos-rounds", "9"], servers={"redis": "7.0.15"})

    result = json.loads(path.read_text())

    assert (result["area"], result["options"]) == ("chaos", ["--chaos-rounds", "9"])
    assert (result["passed"], result["failed"], result["skipped"], result["seconds"]) == (3, 1, 0, 60)
    assert result["conditions"].keys() == {"cpus", "python", "servers", "packages"}
    assert result["conditions"]["servers"] == {"redis": "7.0.15"}
    assert result["conditions"]["packages"].keys() >= {"dramatiq", "psycopg", "redis"}


def test_a_result_of_the_same_run_is_the_same_file_wherever_it_is_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write(folder, "chaos", _COUNTS, options=[], servers={})

    assert (first / "result.json").read_bytes() == (second / "result.json").read_bytes()


def test_an_unknown_area_is_refused_with_the_names_of_all_areas(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["chaso"])

    assert "no area 'chaso': there are api, chaos" in capsys.readouterr().err


def test_every_test_with_a_long_form_is_in_an_area() -> None:
    marked = [path for path in (_ROOT / "tests").rglob("test_*.py") if "mark.long_form" in path.read_text("utf-8")]
    folders = [_ROOT / argument for arguments in AREAS.values() for argument in arguments if "tests/" in argument]

    outside = [path for path in marked if not any(path.is_relative_to(folder) for folder in folders)]

    assert len(marked) > 1
    assert outside == [Path(__file__)]
