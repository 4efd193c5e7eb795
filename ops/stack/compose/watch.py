"""Wait for a starting project: tell what has become ready, and notice at once what never will."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.stack.compose.engine import Container, containers
from ops.stack.contract import StackError
from ops.stack.processes import last_lines

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
        self._waiting = set(services)
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
            self._tell_ready(found)
            for container in found:
                self._refuse_broken(container)
            if ended:
                raise StackError(f"docker compose up failed; the end of {log}:\n{last_lines(log)}\nMend it and repeat.")
            if ended == 0 and not self._waiting:
                return
            if time.monotonic() - self._moved > _STANDSTILL_SECONDS:
                self._give_up(found)
            time.sleep(0.5)

    def _tell_ready(self, found: Sequence[Container]) -> None:
        for service in sorted(self._waiting):
            of_service = [container for container in found if container.service == service]
            if of_service and all(map(self._is_done, of_service)):
                self._waiting.discard(service)
                self._moved = time.monotonic()
                self._console.print(f"[green]✓[/] {service} [dim]{self._moved - self._began:.0f} s[/]")

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
            what = f"ends again and again, last with {container.exit_code}" if restarts else "stays unhealthy"
        if broken:
            raise StackError(_told(container, what))

    def _give_up(self, found: Sequence[Container]) -> None:
        late = [container for container in found if container.service in self._waiting]
        if late:
            raise StackError(_told(late[0], f"was not ready in time ({late[0].status} {late[0].health})"))
        raise StackError(f"not started in time: {', '.join(sorted(self._waiting))}; repeat the command.")


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
