"""`python -m ops.dev.package_audit`: whether a locked package has a known vulnerability; part of `make check`.

The answer is kept for the day and the lock, so that `make check` stays quick. Where the database of vulnerabilities
cannot be reached, the check is skipped and says so.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.dev.stack.home import CHECKOUT

_LOCK = CHECKOUT / "requirements.lock"
_KEPT = CHECKOUT / ".venv" / ".audited"
_SECONDS = 120
_COMMAND = (
    "-m", "pip_audit", "--requirement", str(_LOCK), "--require-hashes", "--disable-pip", "--progress-spinner", "off",
    "--format", "json", "--timeout", "5",
)  # fmt: skip


def main() -> int:
    """Print one line, or one for each vulnerable package; return 1 when there is any."""
    return report(_KEPT, _dependencies)


def report(file: Path, audit: Callable[[], Sequence[Mapping[str, Any]]]) -> int:
    """Print the answer that is kept for today, or a new one; return the exit code. A skipped check is not kept."""
    today = f"{datetime.now(UTC):%Y-%m-%d} {hashlib.sha256(_LOCK.read_bytes()).hexdigest()}\n"
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    if kept.startswith(today):
        print(kept.removeprefix(today))
        return 0
    dependencies = audit()
    code, line = verdict(dependencies)
    print(line)
    if code == 0 and _audited(dependencies):
        file.write_text(today + line, encoding="utf-8")
    return code


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Return the exit code and what to print about the packages that pip-audit lists; an empty list is no answer."""
    audited = _audited(dependencies)
    found = [
        f"{one['name']} {one['version']}: {bug['id']}; fixed in {', '.join(bug['fix_versions']) or 'no version yet'}"
        for one in audited
        for bug in one["vulns"]
    ]
    if found:
        advice = "raise these packages in pyproject.toml and lock them again:"
        return 1, "\n".join((f"known vulnerabilities; {advice}", *found))
    if not audited:
        return 0, "package audit skipped: the database of vulnerabilities cannot be reached"
    unknown = len(dependencies) - len(audited)
    more = f"; {unknown} unknown" if unknown else ""
    return 0, f"package audit: {len(audited)} packages, no known vulnerability{more}"


def _audited(dependencies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in dependencies if "vulns" in one]


def _dependencies() -> list[Mapping[str, Any]]:
    """Return the packages as pip-audit lists them; none when it has no answer."""
    try:
        done = subprocess.run(
            [sys.executable, *_COMMAND], cwd=CHECKOUT, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        listed: list[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []
    return listed


if __name__ == "__main__":
    sys.exit(main())
