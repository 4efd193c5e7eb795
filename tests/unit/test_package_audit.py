"""The audit of packages: a vulnerable one fails the check, and a database that cannot be reached is named."""

from typing import Any

from ops.dev.package_audit import verdict

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
