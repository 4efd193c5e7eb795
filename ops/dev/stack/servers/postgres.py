"""PostgreSQL: scram passwords, fsync on, the database and the roles of `ops/docker/postgres/roles`."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from ops.dev.stack.home import CHECKOUT, is_root, write_private
from ops.dev.stack.packages import postgres_binaries
from ops.dev.stack.processes import UMASK, open_log
from ops.dev.stack.servers.base import Server

_DATABASE = "money_flow"
_SHARED = CHECKOUT / "ops" / "docker" / "postgres"
ROLES = tuple(line for line in (_SHARED / "roles").read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
#: What differs on a machine that it shares with other programs.
_OWN = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
"""


class Postgres(Server):
    """A PostgreSQL with the database and a login role for each part of the application."""

    name = "postgres"
    stop_signal = signal.SIGINT  # Fast: it ends sessions and does not wait for them.

    def user(self) -> str | None:
        """Return `postgres` for root: PostgreSQL refuses to run as root."""
        return "postgres" if is_root() else None

    def command(self) -> Sequence[str]:
        """Run the server itself; its port may change between starts, so it is not in the configuration."""
        return [str(postgres_binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port())]

    def prepare(self) -> None:
        """Create the cluster in a scratch folder and rename it, so that a crash leaves no half of it."""
        self._own(self.folder)
        self._let_pass(self.folder.parent)
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # Of this stack, and its process has ended.
        if self._data.exists():
            return
        scratch = self.folder / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        password_file = self.folder / "superuser"
        write_private(password_file, self.state.secret("postgres"))
        self._own(password_file)
        self._run("initdb", "-D", str(scratch), "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8",
                  "--locale=C.UTF-8", f"--pwfile={password_file}")  # fmt: skip
        with (scratch / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write((_SHARED / "postgresql.conf").read_text(encoding="utf-8") + _OWN)
        scratch.rename(self._data)

    def is_ready(self) -> bool:
        """Return whether the superuser can connect."""
        try:
            psycopg.connect(self.superuser_conninfo(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def after_ready(self) -> None:
        """Create the database and the roles where they are missing, by the script that the image has."""
        path = f"{postgres_binaries()}:{os.environ['PATH']}"
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port()), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        secret = {"PGPASSWORD": self.state.secret("postgres")}
        subprocess.run(
            ["sh", str(_SHARED / "roles.sh")],
            env={"PATH": path, **login, **secret, **self.settings()}, check=True, capture_output=True, text=True,
        )  # fmt: skip

    def superuser_conninfo(self) -> str:
        """Return how the bootstrap superuser connects: for tests and benchmarks."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.port(),
            user="postgres",
            dbname="postgres",
            password=self.state.secret("postgres"),
        )

    def settings(self) -> dict[str, str]:
        """Return address, database, roles and passwords."""
        names = {role: "POSTGRES" if role == "app" else f"POSTGRES_{role.upper()}" for role in ROLES}
        users = {f"{names[role]}_USER": role for role in ROLES}
        passwords = {f"{names[role]}_PASSWORD": self.state.secret(role) for role in ROLES}
        users["POSTGRES_AUDIT_OWNER_USER"] = "audit_owner"
        address = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port()), "POSTGRES_DB": _DATABASE}
        return address | users | passwords

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _own(self, path: Path) -> None:
        if is_root():
            shutil.chown(path, pwd.getpwnam("postgres").pw_uid)
        path.chmod(0o700)

    def _let_pass(self, folder: Path) -> None:
        """Let the group of root's PostgreSQL pass the private folders above its own."""
        mode = folder.stat().st_mode
        if is_root() and not mode & stat.S_IXOTH:
            shutil.chown(folder, group=pwd.getpwnam("postgres").pw_gid)
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXGRP)
            self._let_pass(folder.parent)

    def _run(self, program: str, *arguments: str) -> None:
        user = self.user()
        with open_log(self.log) as output:
            subprocess.run([str(postgres_binaries() / program), *arguments], check=True, stdout=output, stderr=output,
                           user=user, group=user, extra_groups=[] if user else None, cwd=self.folder, umask=UMASK,
                           env=dict(self.environment()))  # fmt: skip
