"""Docker engine: its containers and networks, by the docker command."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from ops.dev.stack.contract import StackError

_PROJECT = "com.docker.compose.project"
_ANSWER_SECONDS = 3.0
#: Runs inside a container: kills its main process, the child of its init. Not `docker kill`: after that the engine does
#: not start the container again, as the user asked for its end.
_KILL = """
import os, pathlib, signal
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if stat.read_text().rpartition(")")[2].split()[1] == "1":
        os.kill(int(stat.parent.name), signal.SIGKILL)
"""
_KILLED = 137  # Exit code of a command whose container ended while it ran.


@dataclass(frozen=True)
class Container:
    """A container as it is now."""

    id: str
    name: str
    service: str
    status: str
    #: "healthy", "unhealthy", "starting"; empty for one without a health check.
    health: str
    exit_code: int
    restarts: int
    started_at: str
    ports: frozenset[int]

    @property
    def runs(self) -> bool:
        """Return whether its process runs."""
        return self.status == "running"

    @property
    def is_ready(self) -> bool:
        """Return whether it runs and its health check, if it has one, passes."""
        return self.runs and self.health in {"", "healthy"}


def engine_answers() -> bool:
    """Return whether a Docker engine answers, and Compose is installed in a version that reads our file."""
    if not shutil.which("docker") or not compose_command():
        return False
    try:
        info = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError):
        return False
    return info.returncode == 0 and info.stdout.strip() != ""


def compose_command() -> list[str] | None:
    """Return Compose's command, docker's plugin or a program of its own; None when it is missing or the old 1.x."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            version = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True, timeout=10, check=False
            )
        except (subprocess.TimeoutExpired, OSError):
            continue
        if version.returncode == 0 and not version.stdout.strip().startswith("1."):
            return command
    return None


def has_buildkit() -> bool:
    """Return whether BuildKit can build images; the older builder gives the same result for our Dockerfiles."""
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


def docker(*arguments: str) -> str:
    """Run a docker command and return its output.

    Raises:
        StackError: docker failed; the text has its message.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"docker {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def containers(project: str) -> list[Container]:
    """Return the project's containers, running or not."""
    ids = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={_PROJECT}={project}").split()
    return sorted((_container(found) for found in _inspect(ids)), key=lambda container: container.name)


def foreign_networks(project: str) -> list[IPv4Network]:
    """Return the engine's networks, without the project's own."""
    found = json.loads(docker("network", "inspect", *docker("network", "ls", "--quiet").split()))
    return [
        IPv4Network(pool["Subnet"], strict=False)
        for network in found
        if (network.get("Labels") or {}).get(_PROJECT) != project
        for pool in network["IPAM"]["Config"] or []
        if ":" not in pool.get("Subnet", ":")
    ]


def largest_process(container: Container) -> tuple[int, float] | None:
    """Return pid and resident memory in MiB of the container's largest process; None when it ended meanwhile."""
    try:
        _, *rows = docker("top", container.id, "-eo", "pid,rss").splitlines()
    except StackError:
        return None
    sizes = [(int(kib) / 1024, int(pid)) for pid, kib in (row.split() for row in rows)]
    mib, pid = max(sizes, default=(0.0, 0))
    return (pid, mib) if pid else None


def kill_inside(container: Container) -> None:
    """Kill the container's own process, as a crash would."""
    command = ["docker", "exec", container.id, "python", "-IS", "-c", _KILL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, _KILLED}:
        raise StackError(f"{container.name} could not be killed: {done.stderr.strip()}")


def _inspect(ids: Sequence[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    # When a container was removed between the two commands docker fails, after it has printed the others.
    done = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def _container(found: dict[str, Any]) -> Container:
    state, ports = found["State"], found["NetworkSettings"]["Ports"] or {}
    return Container(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        service=found["Config"]["Labels"]["com.docker.compose.service"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"],
        restarts=found["RestartCount"],
        started_at=state["StartedAt"],
        ports=frozenset(int(bound["HostPort"]) for bindings in ports.values() for bound in bindings or ()),
    )
