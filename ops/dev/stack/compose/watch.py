"""Watch of a starting project: prints the services that become ready, and raises as soon as one has failed."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.dev.stack.compose.engine import Container, containers
from ops.dev.stack.contract import StackError
from ops.dev.stack.processes import last_lines

#: Seconds without a service that becomes ready after which the start has failed; a whole start may take longer.
_STANDSTILL_SECONDS = 180.0
_LOG_LINES = "20"
#: Services that do their work and end.
_ONE_SHOT = frozenset({"certificates", "settings", "postgres-roles", "kafka-users", "migrate"})
#: Restarts of a container after which it counts as broken.
_RESTARTS = 3


class Watch:
    """Watches one start of the project; created before it, to know the containers of the previous start."""

    def __init__(self, project: str, console: Console, services: Sequence[str]) -> None:
        self._project = project
        self._console = console
        self._services = frozenset(services)
        self._ready: set[str] = set()
        self._began = self._moved = time.monotonic()
        self._restarts = {container.id: container.restarts for container in containers(project)}
        self._old_runs = {container.id: container.started_at for container in containers(project)}

    def until_ready(self, starting: "subprocess.Popen[bytes]", log: Path) -> None:
        """Return when every service is ready.

        Raises:
            StackError: a service or Compose itself failed; the text has the last lines of its log.
        """
        while True:
            ended = starting.poll()  # Before the containers are read: after its end they are final.
            found = containers(self._project)
            ready = self._ready_services(found, compose_ended=ended is not None)
            self._print(ready)
            for container in found:
                self._refuse_broken(container)
            if ended:
                raise StackError(
                    f"docker compose up failed; the end of {log}:\n{last_lines(log)}\n"
                    "Correct it and repeat the command."
                )
            if ended == 0 and ready == self._services:
                return
            if time.monotonic() - self._moved > _STANDSTILL_SECONDS:
                self._give_up(found, self._services - ready)
            time.sleep(0.5)

    def _ready_services(self, found: Sequence[Container], *, compose_ended: bool) -> frozenset[str]:
        """Return the services that are ready; until Compose has ended it may still replace older containers."""
        ready = set()
        for service in self._services:
            of_service = [container for container in found if container.service == service]
            if not compose_ended:
                of_service = [container for container in of_service if self._is_new_run(container)]
            if of_service and all(map(self._is_done, of_service)):
                ready.add(service)
        return frozenset(ready)

    def _print(self, ready: frozenset[str]) -> None:
        for service in sorted(ready - self._ready):
            self._moved = time.monotonic()
            self._console.print(f"[green]✓[/] {service} [dim]{self._moved - self._began:.0f} s[/]")
        self._ready |= ready

    def _is_done(self, container: Container) -> bool:
        if container.service in _ONE_SHOT:
            return self._is_new_run(container) and container.status == "exited" and container.exit_code == 0
        return container.is_ready

    def _is_new_run(self, container: Container) -> bool:
        """Return whether it started after the watch began: Compose starts the last run's ended containers again."""
        return self._old_runs.get(container.id) != container.started_at

    def _refuse_broken(self, container: Container) -> None:
        if container.service in _ONE_SHOT:
            broken = self._is_new_run(container) and container.status == "exited" and container.exit_code != 0
            what = f"ended with {container.exit_code}"
        else:
            restarts = container.restarts - self._restarts.get(container.id, 0)
            broken = restarts >= _RESTARTS or (self._is_new_run(container) and container.health == "unhealthy")
            what = "ends repeatedly" if restarts else "stays unhealthy"
        if broken:
            raise StackError(_with_log(container, what))

    def _give_up(self, found: Sequence[Container], late: frozenset[str]) -> None:
        for container in found:
            if container.service in late:
                raise StackError(_with_log(container, f"was not ready in time ({container.status} {container.health})"))
        raise StackError(f"these did not start in time: {', '.join(sorted(late))}; repeat the command.")


def _with_log(container: Container, what: str) -> str:
    logs = subprocess.run(
        ["docker", "logs", "--tail", _LOG_LINES, container.id],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    lines = "\n".join(f"    {line}" for line in logs.stdout.splitlines())
    return (
        f"{container.service} {what}; the end of its log:\n{lines}\n"
        "Correct the cause and repeat the command; `make reset` starts again without the data."
    )
