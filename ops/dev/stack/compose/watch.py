"""Wait for a starting project: tell what has become ready, and notice at once what never will."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.dev.stack.compose.engine import Container, containers
from ops.dev.stack.contract import StackError
from ops.dev.stack.processes import last_lines

#: A whole start may take longer; this is how long nothing at all may become ready.
_STANDSTILL_SECONDS = 180.0
_LOG_LINES = "20"
#: They do their work and end.
_ONE_SHOT = frozenset({"postgres-roles", "migrate"})
#: So often a process may die at its start before it counts as broken.
_RESTARTS = 3


class Watch:
    """One start of the project; made before it begins, to know what is left from the one before."""

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
            StackError: with the last lines of the service that fails, or of Compose itself.
        """
        while True:
            ended = starting.poll()  # Before the look, so that the look sees all that it did.
            found = containers(self._project)
            ready = self._ready_services(found, compose_ended=ended is not None)
            self._tell(ready)
            for container in found:
                self._refuse_broken(container)
            if ended:
                raise StackError(f"docker compose up failed; the end of {log}:\n{last_lines(log)}\nMend it and repeat.")
            if ended == 0 and ready == self._services:
                return
            if time.monotonic() - self._moved > _STANDSTILL_SECONDS:
                self._give_up(found, self._services - ready)
            time.sleep(0.5)

    def _ready_services(self, found: Sequence[Container], *, compose_ended: bool) -> frozenset[str]:
        """Return the services that are ready; what ran before may still be replaced until Compose has ended."""
        ready = set()
        for service in self._services:
            of_service = [container for container in found if container.service == service]
            if not compose_ended:
                of_service = [container for container in of_service if self._is_new_run(container)]
            if of_service and all(map(self._is_done, of_service)):
                ready.add(service)
        return frozenset(ready)

    def _tell(self, ready: frozenset[str]) -> None:
        for service in sorted(ready - self._ready):
            self._moved = time.monotonic()
            self._console.print(f"[green]✓[/] {service} [dim]{self._moved - self._began:.0f} s[/]")
        self._ready |= ready

    def _is_done(self, container: Container) -> bool:
        if container.service in _ONE_SHOT:
            return self._is_new_run(container) and container.status == "exited" and container.exit_code == 0
        return container.is_ready

    def _is_new_run(self, container: Container) -> bool:
        """Say whether it has started since the watch began: Compose starts an ended container of the last time anew."""
        return self._old_runs.get(container.id) != container.started_at

    def _refuse_broken(self, container: Container) -> None:
        if container.service in _ONE_SHOT:
            broken = self._is_new_run(container) and container.status == "exited" and container.exit_code != 0
            what = f"ended with {container.exit_code}"
        else:
            restarts = container.restarts - self._restarts.get(container.id, 0)
            broken = restarts >= _RESTARTS or (self._is_new_run(container) and container.health == "unhealthy")
            what = "ends again and again" if restarts else "stays unhealthy"
        if broken:
            raise StackError(_told(container, what))

    def _give_up(self, found: Sequence[Container], late: frozenset[str]) -> None:
        for container in found:
            if container.service in late:
                raise StackError(_told(container, f"was not ready in time ({container.status} {container.health})"))
        raise StackError(f"not started in time: {', '.join(sorted(late))}; repeat the command.")


def _told(container: Container, what: str) -> str:
    logs = subprocess.run(
        ["docker", "logs", "--tail", _LOG_LINES, container.id],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    lines = "\n".join(f"    {line}" for line in logs.stdout.splitlines())
    return (
        f"{container.service} {what}; the end of its log:\n{lines}\n"
        "Mend what it complains of and repeat the command; `make reset` begins anew, without the data."
    )
