"""The stack without Docker: servers from packages, and the application's processes under one supervisor."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import psutil
from dotenv import dotenv_values
from rich.console import Console

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import ProcessSettings
from moneyflow.settings import MigrateSettings, load_all
from ops.dev.stack import packages
from ops.dev.stack.application import Program, end_left, never_started, own_settings, programs
from ops.dev.stack.contract import NOT_RUNNING, ProcessInfo, StackError, Status
from ops.dev.stack.home import (
    CHECKOUT,
    State,
    create_home,
    create_private,
    exclusively,
    forget,
    kept_process,
    stack_home,
)
from ops.dev.stack.listening import handed_on, open_sockets
from ops.dev.stack.processes import Identity, last_lines, spawn, stop, wait_until
from ops.dev.stack.servers import RabbitMQ, all_servers
from ops.dev.stack.servers.base import process_environment

_READY_SECONDS = 60
_STOP_SECONDS = 45
_MIB = 1024 * 1024


class NativeStack:
    """Servers and processes on this machine, identified by pid and start time, with data in the stack's home."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = State(stack_home())
        self._servers = all_servers(self._state)

    def up(self) -> None:
        """Install missing packages, start what does not run or has changed, and wait until all of it is ready.

        Raises:
            StackError: a server or process did not start; the text has the end of its log.
        """
        create_home()
        with exclusively(self._state.home), self._open_sockets() as sockets:
            for server in self._servers:
                server.choose_ports()
            environment = self._chosen_environment()
            self._check_dotenv(environment)
            packages.ensure(self._console)
            self._state.change("stack", "environment", environment)
            for server in self._servers:
                server.start()
            for server in self._servers:
                self._step(f"{server.name} on 127.0.0.1:{server.port()}", server.wait_ready)
            self._step("schema, queues, topics", self._migrate)
            self._supervise(sockets)
            for program in programs(self._state):
                self._step(f"{program.name} on 127.0.0.1:{program.port}", partial(self._wait_ready, program))

    def down(self) -> None:
        """Stop everything; the data stays."""
        if self._state.home.exists():
            with exclusively(self._state.home):
                self._stop()

    def reset(self) -> None:
        """Stop everything and delete the data."""
        self.down()
        forget(self._state.home)

    def environment(self) -> dict[str, str]:
        """Return the settings of the application on this stack, as the last start has chosen them; reads only.

        Raises:
            StackError: no server runs.
        """
        kept: dict[str, str] | None = self._state.value("stack", "environment")
        if kept is None or not any(server.identity() for server in self._servers):
            raise StackError("no server of this checkout runs; start the stack with `make up`")
        return kept

    def processes(self) -> list[ProcessInfo]:
        """Return the application's processes with their children, and the mail catcher and the supervisor."""
        found: list[ProcessInfo] = []
        for name in ("supervisor", "mail", *(program.name for program in programs(self._state))):
            identity = self._process(name)
            try:
                main = psutil.Process(identity.pid) if identity else None
                # The supervisor's children are listed by their own names.
                children = main.children(recursive=True) if main and name != "supervisor" else []
                family = [main, *children] if main else []
                found += [ProcessInfo(name, process.pid, process.memory_info().rss / _MIB) for process in family]
            except psutil.NoSuchProcess:
                continue  # It is restarting at this moment.
        return found

    def kill(self, kind: str, *, registered: str | None = None) -> str | None:
        """Kill one process of that kind, such as `worker`, by SIGKILL; return its name.

        `registered`: the one that is known to the job store by this name, and no other.
        """
        pid = int(registered.rpartition(":")[2]) if registered else None
        for program in programs(self._state):
            identity = self._process(program.name)
            if program.kind == kind and identity and pid in {None, identity.pid}:
                identity.signal(signal.SIGKILL)
                return program.name
        return None

    def statuses(self) -> list[Status]:
        """Return the status of every server and process, with its pid and its port; reads only."""
        if self._state.value("stack", "environment") is None:
            raise StackError("this checkout has no stack; start it with `make up`")
        found = [status for server in self._servers for status in server.statuses()]
        supervisor = self._process("supervisor")
        where = f"pid {supervisor.pid if supervisor else '-'}"
        found.append(Status("supervisor", where, None if supervisor else NOT_RUNNING))
        for program in programs(self._state):
            identity = self._process(program.name)
            problem = _not_ready(program.health_port) if identity else NOT_RUNNING
            where = f"pid {identity.pid if identity else '-'}, 127.0.0.1:{program.port}"
            found.append(Status(program.name, where, problem))
        return [*found, *(Status(name, "-", NOT_RUNNING) for name in never_started(self._state))]

    def rabbitmqctl(self, arguments: Sequence[str]) -> int:
        """Run `rabbitmqctl` on this stack's node and return its exit code."""
        node = next(server for server in self._servers if isinstance(server, RabbitMQ))
        if not node.identity():
            raise StackError("RabbitMQ does not run here; start it with `make up`")
        return node.control(arguments)

    def logs_hint(self) -> str:
        """Return where the logs are."""
        return ".stack/logs/"

    def _process(self, name: str) -> Identity | None:
        """Return the identity of the supervisor or of a process of the application; None when it does not run."""
        return kept_process(self._state, name)

    def _chosen_environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for server in self._servers:
            found |= server.settings()
        api = next(program for program in programs(self._state) if program.kind == "api")
        return found | {
            "BUILD_ENV": "dev",
            "SECRET_KEY": self._state.secret("application"),
            "AUDIT_CHECKPOINT_KEY": self._state.secret("audit_checkpoints"),
            "BIND_HOST": "127.0.0.1",
            "APP_PORT": str(api.port),
            "API_METRICS_PORT": str(api.health_port),
            "API_LIMITS_FACTOR": "10000",  # The demo and load tests of this machine are one client.
        }

    def _check_dotenv(self, ours: dict[str, str]) -> None:
        """Refuse an invalid `.env` before anything starts, and print the names that this stack does not use."""
        given = {name: value or "" for name, value in dotenv_values(CHECKOUT / ".env").items()}
        unused = sorted(name for name in given.keys() & ours.keys() if given[name] != ours[name])
        if unused:
            self._console.print(f"ignored from .env, because this stack sets them itself: {', '.join(unused)}")
        try:
            load_all(ours, dotenv=CHECKOUT / ".env")
            if given.get("BUILD_ENV") == "prod":  # For another stack: this one sets its own mode and secrets.
                load_all(given, whole=True)
        except ConfigurationError as error:
            raise StackError(str(error)) from error

    def _step(self, what: str, act: Callable[[], None]) -> None:
        with self._console.status(f"{what} …"):
            act()
        self._console.print(f"[green]✓[/] {what}")

    def _migrate(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ops.migrate"],
            env=process_environment() | own_settings(self.environment(), MigrateSettings),
            cwd=CHECKOUT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise StackError(f"the migration failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

    @contextmanager
    def _open_sockets(self) -> Iterator[dict[str, socket.socket]]:
        """Hold the application's sockets while the servers start, so that no other stack takes their ports."""
        try:
            sockets = open_sockets(self._state)
        except OSError as error:
            raise StackError(str(error)) from error
        with ExitStack() as held:
            for each in sockets.values():
                held.enter_context(each)
            yield sockets

    def _supervise(self, sockets: Mapping[str, socket.socket]) -> None:
        """Start the supervisor, or have it start and replace the processes that are new or have changed."""
        running = self._process("supervisor")
        if running is None:
            create_private(self._state.home / "logs")
            identity = spawn(
                [sys.executable, "-m", "ops.dev.stack.supervisor"],
                environment=process_environment()
                | own_settings(self.environment(), ProcessSettings)
                | handed_on(sockets),
                sockets=[each.fileno() for each in sockets.values()],
                log=self._state.home / "logs" / "supervisor.log",
                folder=CHECKOUT,
            )
            self._state.change("pids", "supervisor", (identity.pid, identity.started))
        elif not self._supervises_the_declared():
            running.signal(signal.SIGHUP)

    def _supervises_the_declared(self) -> bool:
        """Return whether the supervisor keeps the declared programs, as they are declared now, and no others."""
        declared = programs(self._state)
        kept = self._state.read().get("digests", {})
        return kept.keys() == {program.name for program in declared} and all(map(self._is_current, declared))

    def _is_current(self, program: Program) -> bool:
        """Return whether the process was started as the program is declared now, and with these settings."""
        kept: str | None = self._state.value("digests", program.name)
        return kept == program.digest(self.environment())

    def _is_up(self, program: Program) -> bool:
        runs = self._process(program.name) is not None
        return runs and self._is_current(program) and _not_ready(program.health_port) is None

    def _wait_ready(self, program: Program) -> None:
        wait_until(lambda: self._is_up(program) or not self._process("supervisor"), seconds=_READY_SECONDS)
        if self._is_up(program):
            return
        if self._process("supervisor"):
            name, what = program.name, f"was not ready within {_READY_SECONDS} seconds"
        else:
            name, what = "supervisor", f"ended before {program.name} was ready"
        log = self._state.home / "logs" / f"{name}.log"
        raise StackError(
            f"{name} {what}; the end of its log ({log}):\n{last_lines(log)}\nCorrect the cause and repeat the command."
        )

    def _stop(self) -> None:
        kept = self._state.value("pids", "supervisor")
        if kept:
            stop(Identity(*kept), seconds=_STOP_SECONDS)
            self._state.change("pids", "supervisor", None)
        for program in programs(self._state):
            end_left(self._state, program.name)
        for server in reversed(self._servers):
            if server.runs():
                self._step(f"{server.name} stopped", server.stop)


def _not_ready(port: int) -> str | None:
    """Return why the process on the port is not ready; None when it is."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return f"/readyz does not answer: {error}"
    return None if answer.is_success else answer.text
