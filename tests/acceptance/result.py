"""The result of an area: what passed and failed, in how many seconds, with which versions; no date, path or host."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from xml.etree import ElementTree as ET

_PACKAGES = ("aiokafka", "dramatiq", "falcon", "gunicorn", "pika", "psycopg", "redis")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The tests of a run by outcome; those that failed, by name."""

    passed: int
    failed: int
    skipped: int
    seconds: int
    failed_tests: tuple[str, ...]


def read_counts(report: Path) -> Counts:
    """Read the counts from a JUnit report of pytest; a test whose fixture fails has failed."""
    (suite,) = ET.parse(report).getroot().iter("testsuite")
    cases = list(suite.iter("testcase"))
    failed = {_name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None}
    skipped = {_name(case) for case in cases if case.find("skipped") is not None} - failed
    return Counts(
        passed=len({_name(case) for case in cases} - failed - skipped),
        failed=len(failed),
        skipped=len(skipped),
        seconds=round(float(suite.attrib["time"])),
        failed_tests=tuple(sorted(failed)),
    )


def write(folder: Path, area: str, counts: Counts, *, options: Sequence[str], servers: Mapping[str, str]) -> Path:
    """Write `result.json` and return its path; `options` are those that were added to the area's own."""
    content = {
        "area": area,
        "options": list(options),
        "conditions": {
            "cpus": os.cpu_count(),
            "python": python_version(),
            "servers": dict(servers),
            "packages": {name: version(name) for name in _PACKAGES},
        },
        **asdict(counts),
    }
    path = folder / "result.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _name(case: ET.Element) -> str:
    return f"{case.attrib['classname']}::{case.attrib['name']}"
