"""The stack as a Compose project: up, down, reset, and its processes."""

import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.dev.stack.compose.engine import (  # fmt: skip
    Container,
    compose_command,
    containers,
    foreign_networks,
    has_buildkit,
    kill_inside,
    largest_process,
)
from ops.dev.stack.compose.settings import given_settings, refuse_invalid, resolve, seen_from_host, write_env_file
from ops.dev.stack.compose.watch import Watch
from ops.dev.stack.contract import ProcessInfo, StackError, Status
from ops.dev.stack.home import CHECKOUT, State, create_home, create_private, exclusively, forget, stack_home
from ops.dev.stack.processes import last_lines, open_log

_KINDS = frozenset({"api", "worker", "relay", "consumer"})
#: Two replicas of the API, two workers and a standby relay, so that one of each may be killed or replaced at any time.
_SCALE = ("--scale", "api=2", "--scale", "worker=2", "--scale", "relay=2")

#: The authority of the front door's certificate, in the volume and in the stack's home.
_AUTHORITY = "ca.pem"


class ComposeStack:
    """All of `docker-compose.yml` with the profile `dev`, under a project name of this checkout."""

    def __init__(self, console: Console, *, home: Path | None = None) -> None:
        self._console = console
        self._home = home or stack_home()
        self._state = State(self._home)
        self._env_file = self._home / "compose.env"
        self._log = self._home / "logs" / "compose.log"
        # Letters and digits alone: the name is part of the images' names too.
        self.project = f"money-flow-{''.join(filter(str.isalnum, self._home.name.rpartition('-')[2].lower()))}"

    def up(self) -> None:
        """Build, start, and wait until every service is ready.

        Raises:
            StackError: a service failed; the text has the end of its log. The other services are stopped.
        """
        self._create_home()
        with exclusively(self._home):
            self._choose_settings()
            create_private(self._log.parent)
            self._log.unlink(missing_ok=True)
            self._build()
            try:
                self._start()
                self._reload_certificate()
                self._copy_authority()
            except StackError:
                self._compose("stop", "--timeout", "20")
                raise

    def down(self) -> None:
        """Stop everything; the data stays."""
        self._create_home()
        with exclusively(self._home):
            self._remove()

    def reset(self) -> None:
        """Stop everything and delete the data."""
        self._create_home()
        with exclusively(self._home):
            self._remove("--volumes")
        forget(self._home)

    def environment(self) -> dict[str, str]:
        """Return the running stack's settings as a program on this machine needs them."""
        authority = self._home / _AUTHORITY
        return seen_from_host(self._settings()) | ({"APP_CA_FILE": str(authority)} if authority.exists() else {})

    def processes(self) -> list[ProcessInfo]:
        """Return the application's running processes, each with the memory of the largest process in its container."""
        found = []
        for container in containers(self.project):
            if container.runs and container.service.partition("-")[0] in _KINDS:
                largest = largest_process(container)
                if largest:
                    found.append(ProcessInfo(self._short_name(container), pid=largest[0], resident_mib=largest[1]))
        return found

    def kill(self, kind: str, *, registered: str | None = None) -> str | None:
        """Kill one process of that kind, such as `worker`, by SIGKILL; return its name.

        `registered`: the one that is known to the job store by this name, and no other; it begins with the container's
        id. Its container ends with it, and the restart policy starts it again.
        """
        host = registered.partition(":")[0] if registered else ""
        for container in containers(self.project):
            is_kind = container.runs and container.service.partition("-")[0] == kind
            if is_kind and container.id.startswith(host):
                kill_inside(container)
                return self._short_name(container)
        return None

    def statuses(self) -> list[Status]:
        """Return the status of every container."""
        return [
            Status(self._short_name(container), container.name, None if container.is_ready else _problem(container))
            for container in containers(self.project)
            if container.runs or container.exit_code != 0
        ]

    def rabbitmqctl(self, arguments: Sequence[str]) -> int:
        """Run `rabbitmqctl` in RabbitMQ's container and return its exit code."""
        command = self._command("exec", "-T", "rabbitmq", "rabbitmqctl", *arguments)
        return subprocess.run(command, cwd=CHECKOUT, env=self._environment(), check=False).returncode

    def roll_api(self, **settings: str) -> None:
        """Replace the API's containers, as a deployment of a new version, or of new settings, does.

        Raises:
            StackError: the new containers did not become ready; the old ones still run.
        """
        done = subprocess.run(
            [CHECKOUT / "ops" / "docker" / "roll-api.sh"],
            cwd=CHECKOUT, capture_output=True, text=True, check=False,
            env=self._environment() | {"COMPOSE": " ".join(self._command())} | settings,
        )  # fmt: skip
        if done.returncode:
            raise StackError(f"the API was not replaced: {done.stderr.strip()}")

    def run_in(self, service: str, *command: str) -> str:
        """Run a command in a container of the service, and return what it prints."""
        return self._compose("exec", "-T", service, *command)

    def last_lines_of(self, *services: str) -> str:
        """Return the ends of the services' logs."""
        return self._compose("logs", "--tail", "20", *services)

    def logs_hint(self) -> str:
        """Return the command that shows the application's log."""
        command = " ".join(self._command("logs", "--follow", "api", "worker", "relay"))
        return f"cd {CHECKOUT} && {command}"

    def _create_home(self) -> None:
        if not self._home.exists():
            create_home()

    def _choose_settings(self) -> None:
        given = given_settings(CHECKOUT / ".env")
        if given.get("BUILD_ENV", "dev") == "dev":
            _refuse_unreadable_checkout()
        there = containers(self.project)
        values = resolve(
            given,
            self._state,
            published={port for container in there for port in container.ports},
            taken=foreign_networks(self.project),
        )
        refuse_invalid(values)
        self._state.change("compose", "settings", values)
        # Names that configure Compose itself: with them the file is all that a manual command needs.
        steering = {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_PROFILES": "dev", "ENV_FILE": str(self._env_file)}
        write_env_file(self._env_file, values | steering)

    def _settings(self) -> dict[str, str]:
        values: dict[str, str] | None = self._state.value("compose", "settings")
        if values is None or not self._env_file.exists():
            raise StackError("this checkout has no stack; start it with `make up`.")
        return values

    def _build(self) -> None:
        what = "building the images"
        with self._console.status(f"{what} …"), open_log(self._log) as output:
            done = subprocess.run(
                self._command("build"), cwd=CHECKOUT, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
            )  # fmt: skip
        if done.returncode:
            raise StackError(f"{what} failed; the end of {self._log}:\n{last_lines(self._log)}\nCorrect it and repeat.")
        self._console.print(f"[green]✓[/] {what}")

    def _start(self) -> None:
        watch = Watch(self.project, self._console, self._compose("config", "--services").split())
        command = self._command("up", "--detach", "--no-build", "--remove-orphans", *_SCALE)
        with open_log(self._log) as output, self._console.status("starting …"):
            starting = subprocess.Popen(
                command, cwd=CHECKOUT, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
            try:
                watch.until_ready(starting, self._log)
            finally:
                starting.terminate()
                starting.wait()

    def _reload_certificate(self) -> None:
        """Have an nginx that ran before use the certificate that this start may have renewed; no connection is cut."""
        self._compose("exec", "-T", "nginx", "nginx", "-c", "/tmp/nginx.conf", "-s", "reload")  # noqa: S108 - in the container

    def _copy_authority(self) -> None:
        """Copy the authority of the front door's certificate out of its volume; a real certificate has none there."""
        (self._home / _AUTHORITY).unlink(missing_ok=True)
        if not self._settings().get("TLS_FOLDER"):
            self._compose("cp", f"nginx:/certificates/{_AUTHORITY}", str(self._home / _AUTHORITY))

    def _remove(self, *options: str) -> None:
        if self._env_file.exists():
            with self._console.status("stopping …"):
                self._compose("down", "--remove-orphans", *options)

    def _short_name(self, container: Container) -> str:
        return container.name.removeprefix(f"{self.project}-")

    def _compose(self, *arguments: str) -> str:
        done = subprocess.run(
            self._command(*arguments),
            cwd=CHECKOUT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"docker compose {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        command = compose_command()
        if command is None:
            raise StackError("Docker Compose 2 or newer is needed, as `docker compose` or `docker-compose`.")
        return [*command, "--env-file", str(self._env_file), *arguments]

    def _environment(self) -> dict[str, str]:
        """Return this process's environment without what the file sets: Compose would let the environment win."""
        hidden = {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_FILE", "ENV_FILE", *self._settings()}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return kept if has_buildkit() else kept | {"DOCKER_BUILDKIT": "0"}


def _refuse_unreadable_checkout() -> None:
    """Refuse a checkout that the containers' user cannot read: BUILD_ENV=dev mounts it, and every container would fail.

    On Linux only: elsewhere the engine runs in a virtual machine, which lets every user read the files.
    """
    others_may = stat.S_IROTH | stat.S_IXOTH
    if sys.platform == "linux" and (CHECKOUT / "moneyflow").stat().st_mode & others_may != others_may:
        raise StackError(
            f"the containers' user cannot read {CHECKOUT}: only the owner of its files can.\n"
            "Make it readable (chmod -R go+rX .), or set BUILD_ENV=prod, which copies the source into the image."
        )


def _problem(container: Container) -> str:
    return f"is {container.health}" if container.runs else f"is {container.status}, exit code {container.exit_code}"
