"""Home of a stack: a private folder for each checkout, with a JSON file of its ports, secrets and pids."""

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ops.dev.stack.contract import StackError
from ops.dev.stack.processes import Identity

CHECKOUT = Path(__file__).resolve().parents[3]
#: Every user may create folders in it; so whose they are is checked before each use.
_SHARED_FOLDER = Path("/var/tmp")  # noqa: S108
#: What the group may not do and others may not do at all. The group may pass: root's PostgreSQL runs as another user.
_NOT_PRIVATE = 0o067


def stack_home() -> Path:
    """Return the folder of this checkout's stack, which need not exist.

    Not inside the checkout: PostgreSQL refuses to run as root, and its own user must reach the data also when the
    checkout is in root's home. `.stack` in the checkout links to it.

    Raises:
        StackError: the folder is another user's, or a link.
    """
    digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    home = _SHARED_FOLDER / f"money-flow-{_user_name()}" / f"{CHECKOUT.name}-{digest}"
    for folder in (home.parent, home):
        refuse_foreign(folder)
    return home


def create_home() -> Path:
    """Create the folder of this checkout's stack, private, with a link to it in the checkout; safe to repeat.

    Raises:
        StackError: the folder is another user's, or a link.
    """
    home = stack_home()
    for folder in (home.parent, home):
        create_private(folder)
    link = CHECKOUT / ".stack"
    if link.is_symlink() and link.readlink() != home:
        link.unlink()
    if not link.exists() and not link.is_symlink():
        link.symlink_to(home)
    return home


def create_private(folder: Path) -> None:
    """Create a folder that no other user may read or write, or take these rights from the others.

    Raises:
        StackError: the folder is another user's, or a link.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    refuse_foreign(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & _NOT_PRIVATE:
        folder.chmod(mode & ~_NOT_PRIVATE)


def kept_process(state: "State", name: str) -> Identity | None:
    """Return the identity of the process that was started under a name; None when it does not run."""
    kept = state.value("pids", name)
    identity = Identity(*kept) if kept else None
    return identity if identity and identity.is_alive() else None


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read."""
    with _private(path) as file:
        file.write(text)


def _private(path: Path) -> TextIO:
    """Open a file for writing that its owner alone can read, also where it was there with other rights."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder that another user has made, or a link: secrets in it would be that user's to read and change.

    Raises:
        StackError: the folder is another user's, or a link.
    """
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise StackError(f"{folder} is not a folder, and the stack keeps its secrets there; remove it and repeat.")
    if found.st_uid != os.geteuid():
        raise StackError(
            f"{folder} belongs to another user (uid {found.st_uid}), who could change the stack's secrets there; "
            f"have that user remove it, or remove it as root, and repeat."
        )


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
            write_private(fresh, json.dumps(content, indent=1))
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
        with _private(self.home / "state.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def exclusively(home: Path) -> Iterator[None]:
    """Let one command at a time change the stack; the lock ends with the process."""
    create_private(home)
    with _private(home / "command.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def forget(home: Path) -> None:
    """Delete the stack's folder with all its data."""
    shutil.rmtree(home, ignore_errors=True)
    link = CHECKOUT / ".stack"
    if link.is_symlink() and link.readlink() == home:
        link.unlink()


def _user_name() -> str:
    """Return the name of the user that this process runs as, whatever its environment says; without a name the uid."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def is_root() -> bool:
    """Return whether this process runs as root: PostgreSQL then needs a user of its own."""
    return os.geteuid() == 0
