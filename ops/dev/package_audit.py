"""`python -m ops.dev.package_audit`: whether a locked package has a known vulnerability; part of `make check`.

The answer is kept for the day and the lock, so that `make check` stays quick. Where the database of vulnerabilities
cannot be reached, the check is skipped and says so.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ops.dev.stack.home import CHECKOUT

_LOCK = CHECKOUT / "requirements.lock"
_KEPT = CHECKOUT / ".venv" / ".audited"
_SECONDS = 120
_COMMAND = (
    "-m", "pip_audit", "--requirement", str(_LOCK), "--require-hashes", "--disable-pip", "--progress-spinner", "off",
    "--format", "json",
)  # fmt: skip


def main() -> int:
    """Print one line, or one for each vulnerable package; return 1 when there is any."""
    today = f"{datetime.now(UTC):%Y-%m-%d} {hashlib.sha256(_LOCK.read_bytes()).hexdigest()}\n"
    kept = _KEPT.read_text(encoding="utf-8") if _KEPT.exists() else ""
    if kept.startswith(today):
        print(kept.removeprefix(today))
        return 0
    code, line = verdict(_dependencies())
    print(line)
    if code == 0:
        _KEPT.write_text(today + line, encoding="utf-8")
    return code


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Return the exit code and what to print about the packages that pip-audit lists; an empty list is no answer."""
    audited = [one for one in dependencies if "vulns" in one]
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
