"""The audit of packages: a vulnerable one fails the check, and a database that cannot be reached is named."""

from pathlib import Path
from typing import Any

import pytest

from ops.dev.package_audit import report, verdict

_GOOD: dict[str, Any] = {"name": "falcon", "version": "4.4.0", "vulns": []}
_BAD: dict[str, Any] = {
    "name": "jinja2",
    "version": "2.0",
    "vulns": [{"id": "CVE-2024-1", "fix_versions": ["3.1.6"]}, {"id": "CVE-2024-2", "fix_versions": []}],
}
_UNKNOWN: dict[str, Any] = {"name": "ours", "version": "1", "skip_reason": "not found"}


def test_a_vulnerable_package_fails_the_check_and_is_named_with_the_version_that_is_fixed() -> None:
    code, text = verdict([_GOOD, _BAD])

    assert code == 1
    assert "jinja2 2.0: CVE-2024-1; fixed in 3.1.6" in text
    assert "jinja2 2.0: CVE-2024-2; fixed in no version yet" in text


def test_packages_without_a_vulnerability_pass_and_those_that_are_unknown_are_counted() -> None:
    assert verdict([_GOOD, _GOOD]) == (0, "package audit: 2 packages, no known vulnerability")
    assert verdict([_GOOD, _UNKNOWN]) == (0, "package audit: 1 packages, no known vulnerability; 1 unknown")


def test_a_database_that_cannot_be_reached_skips_the_check_and_is_said() -> None:
    for dependencies in ([], [_UNKNOWN]):
        code, text = verdict(dependencies)
        assert (code, "skipped" in text) == (0, True)


def test_an_answer_is_kept_for_the_day_and_a_skipped_check_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[list[dict[str, Any]]] = [[], [_GOOD], [_BAD]]

    codes = [report(tmp_path / "kept", lambda: answers.pop(0)) for _ in range(3)]

    assert codes == [0, 0, 0]
    assert answers == [[_BAD]], "the third time the answer of the second is kept"
    first, second, third = capsys.readouterr().out.splitlines()
    assert "skipped" in first
    assert second == third == "package audit: 1 packages, no known vulnerability"
