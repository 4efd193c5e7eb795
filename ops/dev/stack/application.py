"""The application's processes on this machine: the command and the port of each."""

import hashlib
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from moneyflow.platform.settings import Section
from moneyflow.settings import ApiSettings, ConsumerSettings, RelaySettings, WorkerSettings
from ops.dev.stack.home import CHECKOUT, State, kept_process
from ops.dev.stack.ports import kept_port
from ops.dev.stack.processes import Identity, left_by


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
    #: The supervisor opens its port and keeps it open; the process serves the socket that it inherits.
    inherits_socket: bool = False

    def own(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the settings that it loads, of those of the whole stack: no other process's secret is among them."""
        return own_settings(environment, self.settings, *self.roles) | self.environment

    def digest(self, environment: Mapping[str, str]) -> str:
        """Return what changes with the command, its own settings or `.env`: the process is then started again."""
        dotenv = CHECKOUT / ".env"
        text = dotenv.read_text(encoding="utf-8") if dotenv.exists() else ""
        parts = [self.command, sorted(self.own(environment).items()), text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Declared:
    """A program as it is declared, without the port that is chosen for it."""

    name: str
    kind: str
    command: tuple[str, ...]
    port_setting: str
    settings: type[Section]
    roles: tuple[str, ...] = ()
    preferred_port: int | None = None


#: Two workers and a standby relay, so that one of each may be killed at any time.
_DECLARED = (
    _Declared(
        "api", "api", ("-m", "gunicorn", "--config", "python:api.server"), "APP_PORT", ApiSettings, preferred_port=9999
    ),
    *(_Declared(f"relay-{n}", "relay", ("-m", "workers.relay"), "RELAY_METRICS_PORT", RelaySettings) for n in (1, 2)),
    *(_Declared(f"worker-{n}", "worker", ("-m", "workers"), "WORKER_METRICS_PORT", WorkerSettings) for n in (1, 2)),
    _Declared(
        "consumer-audit",
        "consumer",
        ("-m", "consumers", "audit"),
        "CONSUMER_METRICS_PORT",
        ConsumerSettings,
        ("audit",),
    ),
)


def programs(state: State) -> list[Program]:
    """Return the processes that have a port; all of them have one once the stack was started."""
    return [
        Program(
            name=one.name,
            kind=one.kind,
            command=one.command,
            port=port,
            settings=one.settings,
            roles=one.roles,
            environment={one.port_setting: str(port)},
            inherits_socket=one.kind == "api",
        )
        for one in _DECLARED
        if (port := state.value("ports", one.name)) is not None
    ]


def never_started(state: State) -> list[str]:
    """Return the names of the processes that this checkout declares and its stack has never started."""
    return [one.name for one in _DECLARED if state.value("ports", one.name) is None]


def choose_ports(state: State) -> None:
    """Choose a port for each process that has none; while no supervisor runs, for each whose port is taken as well."""
    runs = kept_process(state, "supervisor") is not None
    for one in _DECLARED:
        if not runs:
            end_left(state, one.name)
        if not runs or state.value("ports", one.name) is None:
            kept_port(state, one.name, preferred=one.preferred_port)


def end_left(state: State, name: str) -> None:
    """Kill a process that its supervisor left running, and what that has left, such as gunicorn's workers."""
    kept = state.value("pids", name)
    if kept is None:
        return
    main = Identity(*kept)
    main.signal(signal.SIGKILL, group=True)
    main.wait_gone(10)
    for left in left_by(main):
        left.signal(signal.SIGKILL)
        left.wait_gone(10)
    state.change("pids", name, None)


def own_settings(environment: Mapping[str, str], settings: type[Section], *roles: str) -> dict[str, str]:
    """Return those of the whole stack's settings that a process of this section and these roles loads."""
    names = settings.environment_names(*roles)
    return {name: value for name, value in environment.items() if name in names}
