"""The application's processes on this machine: the command and the port of each."""

import hashlib
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from moneyflow.platform.settings import Section
from moneyflow.settings import (
    CONSUMER_SETTINGS,
    SINKS,
    ApiSettings,
    ConsumerSettings,
    RelaySettings,
    WorkerSettings,
)
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
    #: The port of `/readyz`.
    health_port: int
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
    #: The setting with the port of its health, where that is another one.
    health_port_setting: str | None = None

    def ports(self) -> dict[str, str]:
        """Return each setting with a port, and the name under which the port is kept."""
        own = {self.port_setting: self.name}
        return own | ({self.health_port_setting: f"{self.name}-health"} if self.health_port_setting else {})


#: The process of each sink. 70 MB each, and half a second of its start: every sink runs, the guide's example too.
CONSUMERS = {sink: f"consumer-{sink}" for sink in SINKS}
#: Two workers and a standby relay, so that one of each may be killed at any time.
_DECLARED = (
    _Declared(
        "api",
        "api",
        ("-m", "gunicorn", "--config", "python:api.server"),
        "APP_PORT",
        ApiSettings,
        preferred_port=9999,
        health_port_setting="API_METRICS_PORT",
    ),
    *(_Declared(f"relay-{n}", "relay", ("-m", "workers.relay"), "RELAY_METRICS_PORT", RelaySettings) for n in (1, 2)),
    *(_Declared(f"worker-{n}", "worker", ("-m", "workers"), "WORKER_METRICS_PORT", WorkerSettings) for n in (1, 2)),
    *(
        _Declared(
            name,
            "consumer",
            ("-m", "consumers", sink),
            "CONSUMER_METRICS_PORT",
            CONSUMER_SETTINGS.get(sink, ConsumerSettings),
            (sink,),
        )
        for sink, name in CONSUMERS.items()
    ),
)


def programs(state: State) -> list[Program]:
    """Return the processes that have their ports; all of them have once the stack was started."""
    return [_program(one, ports) for one in _DECLARED if None not in (ports := _ports(one, state)).values()]


def never_started(state: State) -> list[str]:
    """Return the names of the processes that this checkout declares and its stack has never started."""
    return [one.name for one in _DECLARED if None in _ports(one, state).values()]


def choose_ports(state: State) -> None:
    """Choose ports for each process that has none; while no supervisor runs, for each whose port is taken as well."""
    runs = kept_process(state, "supervisor") is not None
    for one in _DECLARED:
        if not runs:
            end_left(state, one.name)
        for setting, name in one.ports().items():
            if not runs or state.value("ports", name) is None:
                kept_port(state, name, preferred=one.preferred_port if setting == one.port_setting else None)


def _ports(one: _Declared, state: State) -> dict[str, int | None]:
    return {setting: state.value("ports", name) for setting, name in one.ports().items()}


def _program(one: _Declared, ports: dict[str, int | None]) -> Program:
    port = ports[one.port_setting]
    health_port = ports[one.health_port_setting or one.port_setting]
    assert port
    assert health_port
    return Program(
        name=one.name,
        kind=one.kind,
        command=one.command,
        port=port,
        health_port=health_port,
        settings=one.settings,
        roles=one.roles,
        environment={setting: str(number) for setting, number in ports.items()},
        inherits_socket=one.kind == "api",
    )


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
