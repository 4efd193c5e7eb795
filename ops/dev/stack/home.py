"""Home of a stack: a folder for each checkout, with a JSON file of its ports, secrets and pids."""

import fcntl
import getpass
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]


def stack_home() -> Path:
    """Return the folder of this checkout's stack.

    Not inside the checkout: PostgreSQL refuses to run as root, and its own user must reach the data also when the
    checkout is in root's home. `.stack` in the checkout links to it.
    """
    digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    home = Path("/var/tmp") / f"money-flow-{getpass.getuser()}" / f"{CHECKOUT.name}-{digest}"  # noqa: S108
    home.mkdir(parents=True, exist_ok=True)
    link = CHECKOUT / ".stack"
    if link.is_symlink() and link.readlink() != home:
        link.unlink()
    if not link.exists() and not link.is_symlink():
        link.symlink_to(home)
    return home


class State:
    """State that outlives the processes; the file is replaced whole, so a crash leaves the old or the new one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._path = home / "state.json"

    def read(self) -> dict[str, Any]:
        """Return the whole state; empty before the first start."""
        try:
            content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return content

    def change(self, section: str, name: str, value: object) -> None:
        """Set one value; None removes it."""
        with self._locked():
            content = self.read()
            part = content.setdefault(section, {})
            part[name] = value
            if value is None:
                del part[name]
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
            fresh.chmod(0o600)
            fresh.replace(self._path)

    def value(self, section: str, name: str) -> Any:
        """Return one value, or None."""
        return self.read().get(section, {}).get(name)

    def secret(self, name: str) -> str:
        """Return the secret of that name; the first call makes it at random."""
        kept: str | None = self.value("secrets", name)
        if kept is None:
            kept = secrets.token_urlsafe(24)
            self.change("secrets", name, kept)
        return kept

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.home / "state.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def exclusively(home: Path) -> Iterator[None]:
    """Let one command at a time change the stack; the lock ends with the process."""
    with (home / "command.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def forget(home: Path) -> None:
    """Delete the stack's folder with all its data."""
    shutil.rmtree(home, ignore_errors=True)
    link = CHECKOUT / ".stack"
    if link.is_symlink() and link.readlink() == home:
        link.unlink()


def is_root() -> bool:
    """Return whether this process runs as root: PostgreSQL then needs a user of its own."""
    return os.geteuid() == 0
