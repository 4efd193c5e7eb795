"""The application's processes on this machine: the command and the port of each."""

from dataclasses import dataclass, field

from moneyflow.platform.settings import Section
from moneyflow.settings import ApiSettings, ConsumerSettings, RelaySettings, WorkerSettings
from ops.dev.stack.home import State
from ops.dev.stack.ports import kept_port
from ops.dev.stack.processes import Identity

_API_PORT = 9999


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process of the application."""

    name: str
    kind: str
    command: tuple[str, ...]
    port: int
    #: What it loads, and the roles of its sink: it is given these settings and no others.
    settings: type[Section]
    roles: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def programs(state: State) -> list[Program]:
    """Return all processes: two workers and a standby relay, so that one of each may be killed at any time."""
    api = _port(state, "api", preferred=_API_PORT)
    return [
        Program(name="api", kind="api", command=("-m", "gunicorn", "--config", "python:api.server"), port=api,
                settings=ApiSettings, environment={"APP_PORT": str(api)}),
        *(_python(state, f"relay-{n}", "workers.relay", RelaySettings) for n in (1, 2)),
        *(_python(state, f"worker-{n}", "workers", WorkerSettings) for n in (1, 2)),
        _python(state, "consumer-audit", "consumers", ConsumerSettings, sink="audit"),
    ]  # fmt: skip


def _python(state: State, name: str, module: str, settings: type[Section], *, sink: str | None = None) -> Program:
    port = _port(state, name)
    kind = name.partition("-")[0]
    roles = () if sink is None else (sink,)
    return Program(
        name=name,
        kind=kind,
        command=("-m", module, *roles),
        port=port,
        settings=settings,
        roles=roles,
        environment={f"{kind.upper()}_METRICS_PORT": str(port)},
    )


def _port(state: State, name: str, *, preferred: int | None = None) -> int:
    """Return the port that the running stack uses, or else a free one."""
    supervisor = state.value("pids", "supervisor")
    kept: int | None = state.value("ports", name)
    if kept is not None and supervisor and Identity(*supervisor).is_alive():
        return kept
    return kept_port(state, name, preferred=preferred)
