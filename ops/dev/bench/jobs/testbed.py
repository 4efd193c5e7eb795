"""Testbed of a benchmark: new servers on free ports, with databases of its own; all of it is removed at the end."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import pika
import pika.exceptions
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from rich.console import Console

from moneyflow.platform.brokers.rabbitmq import connection_parameters
from moneyflow.settings import AllSettings, load_all
from ops.dev.bench.peers.addresses import AMQP_URL_VARIABLE, PROCRASTINATE_DATABASE
from ops.dev.bench.peers.marks import SOCKET_VARIABLE
from ops.dev.stack import packages
from ops.dev.stack.home import CHECKOUT, State
from ops.dev.stack.processes import Identity, last_lines, spawn, stop
from ops.dev.stack.servers import OpenRabbitMQ, Postgres, Redis, Server
from ops.dev.stack.servers.base import process_environment
from ops.migrate import declare_queues, upgrade_schema


class BenchError(Exception):
    """The benchmark cannot continue, or its figures are invalid; the text says why."""


class Testbed:
    """PostgreSQL, RabbitMQ and Redis, and the processes that use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder)
        self.postgres = Postgres(self.state)
        self.rabbitmq = OpenRabbitMQ(self.state)
        self.servers: list[Server] = [self.postgres, self.rabbitmq, Redis(self.state)]
        self._processes = 0

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the benchmark's processes: the settings, and the socket for their marks."""
        found = {"BUILD_ENV": "dev", "SECRET_KEY": self.state.secret("application"), "BIND_HOST": "127.0.0.1"}
        for server in self.servers:
            found |= server.settings()
        # The peers declare queues of their own.
        login = ":".join(self.rabbitmq.administrator())
        url = f"amqp://{login}@127.0.0.1:{found['RABBITMQ_PORT']}/{found['RABBITMQ_VHOST']}"
        own = {"PYTHONPATH": str(CHECKOUT), SOCKET_VARIABLE: str(self.socket), AMQP_URL_VARIABLE: url}
        return process_environment() | found | own

    @property
    def settings(self) -> AllSettings:
        """Return the product's settings on this testbed."""
        return load_all(self.environment)

    @property
    def socket(self) -> Path:
        """Return the path of the socket for marks."""
        return self.folder / "marks"

    def start(self, *servers: Server) -> None:
        """Start servers in parallel and wait until they are ready."""
        for server in servers:
            server.start()
        for server in servers:
            server.wait_ready()

    def prepare(self) -> None:
        """Migrate the product's database, and create the benchmark's own table and Procrastinate's database."""
        upgrade_schema(self.settings)
        declare_queues(self.settings)
        self.sql("create table bench_effects (id bigint generated always as identity primary key, tag bigint not null, "
                 "at timestamptz not null default now())")  # fmt: skip
        self.sql("grant insert, select on bench_effects to app, worker")
        self.sql(f"create database {PROCRASTINATE_DATABASE} owner app")
        self.run("procrastinate", "--app=ops.dev.bench.peers.procrastinate_app.app", "schema", "--apply")

    def run(self, *command: str) -> None:
        """Run a process by `python -m` to its end."""
        command = (sys.executable, "-m", *command)
        subprocess.run(command, env=self.environment, cwd=CHECKOUT, check=True, capture_output=True)

    def empty(self) -> None:
        """Empty the tables of every system: each measurement begins like the first."""
        self.sql("truncate bench_effects, jobs, operations cascade")
        self.sql("truncate procrastinate_jobs cascade", database=PROCRASTINATE_DATABASE)

    def sql(self, statement: LiteralString, *, database: str | None = None, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser and return its rows; `database` is by default the product's."""
        with psycopg.connect(self.superuser_conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def superuser_conninfo(self, database: str | None = None) -> str:
        """Return how the superuser connects; `database` is by default the product's."""
        return make_conninfo(self.postgres.superuser_conninfo(), dbname=database or self.settings.postgres_db)

    def copy_database(self, name: str) -> None:
        """Copy the product's database, emptied, under another name; nothing may be connected with it."""
        self.empty()
        copy = SQL("create database {} template {} owner owner").format(
            Identifier(name), Identifier(self.settings.postgres_db)
        )
        with psycopg.connect(self.superuser_conninfo("postgres"), autocommit=True) as connection:
            connection.execute(copy)

    def purge(self, queue: str) -> None:
        """Drop the messages that are left in a queue of RabbitMQ."""
        connection = pika.BlockingConnection(connection_parameters(self.settings, login="migrate", name="bench"))
        try:
            connection.channel().queue_purge(queue)
        except pika.exceptions.ChannelClosedByBroker:
            return  # The queue does not exist: nothing was enqueued.
        finally:
            connection.close()

    def rabbitmq_version(self) -> str:
        """Return the version that the server sends to its clients."""
        connection = pika.BlockingConnection(connection_parameters(self.settings, login="migrate", name="bench"))
        found = connection._impl.server_properties["version"]  # noqa: SLF001 - pika shows it nowhere else
        connection.close()
        return found.decode() if isinstance(found, bytes) else str(found)

    def spawn(self, *command: str, environment: Mapping[str, str] | None = None) -> Identity:
        """Start a process by `python -m`, with its output in a log of its own."""
        self._processes += 1
        name = f"{self._processes}-{command[0]}"
        identity = spawn(
            [sys.executable, "-m", *command],
            environment=self.environment | dict(environment or {}),
            log=self.log(name),
            folder=CHECKOUT,
        )
        self.state.change("pids", name, (identity.pid, identity.started))
        return identity

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.folder / "logs" / f"{name}.log"

    def ends_of_logs(self) -> str:
        """Return the last lines of the logs of the three processes that were started last."""
        newest = sorted((self.folder / "logs").glob("[0-9]*.log"), key=lambda path: int(path.name.split("-")[0]))
        return "\n".join(f"{path.name}:\n{last_lines(path)}" for path in newest[-3:])

    def end(self) -> None:
        """Kill every process and server, and delete the folder."""
        for kept in list(self.state.read().get("pids", {}).values()):
            if Identity(*kept).is_alive():
                stop(Identity(*kept), seconds=0)
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def new_testbed(console: Console) -> Iterator[Testbed]:
    """Install missing packages and start the servers; they end with the block, however it ends."""
    packages.ensure(console)
    folder = Path(tempfile.mkdtemp(prefix="money-flow-bench-", dir="/var/tmp"))
    testbed = Testbed(folder)
    # A run that is killed does not reach the end of this block: the guardian cleans up in its place.
    guardian = subprocess.Popen([sys.executable, "-m", "ops.dev.stack.guardian", str(os.getpid()), str(folder)])
    atexit.register(testbed.end)
    try:
        with console.status("starting PostgreSQL, RabbitMQ and Redis for the benchmark …"):
            testbed.start(*testbed.servers)
            testbed.prepare()
        yield testbed
    finally:
        testbed.end()
        atexit.unregister(testbed.end)
        guardian.kill()
        guardian.wait()
