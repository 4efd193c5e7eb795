"""The real servers of a run of the tests: each starts when a test first needs it, all processes of the run share it.

A run has one folder, and in it a folder for each set of servers: `shared` for all xdist workers, and one for each
worker that runs tests which stop or kill servers. What is in the folder ends with the run; the guardian sees to it when
the run itself is killed. With KEEP=1 the shared set is in the checkout's `.stack` and stays for the next run.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import psycopg
from rich.console import Console

from moneyflow.settings import load_all
from ops.dev.stack import packages
from ops.dev.stack.home import CHECKOUT, State, create_home, create_private, stack_home
from ops.dev.stack.processes import spawn
from ops.dev.stack.servers import Kafka, Mail, OpenRabbitMQ, Postgres, Redis, Server
from ops.dev.stack.servers.base import process_environment
from ops.migrate import upgrade_schema
from tests.support import guardian
from tests.support.guardian import end_servers
from tests.support.proxy import Proxies, Proxy

#: Present in the environment of every process of a run: its value is the run's folder.
RUN = "MONEY_FLOW_TESTS_RUN"
_PREFIX = "money-flow-tests-"
_DISK, _MEMORY = Path("/var/tmp"), Path("/dev/shm")
#: Bytes that must be free in memory: a whole run writes a quarter of it.
_MEMORY_BYTES = 2 * 2**30
#: Up as soon as a test has a database: they take a moment, and nearly all tests use them.
_QUICK = ("postgres", "redis", "mail")
#: So that a test of time-outs does not take them.
_FAST = {
    "WORKER_LEASE_SECONDS": "3",
    "WORKER_THREADS": "4",
    "WORKER_SHUTDOWN_SECONDS": "10",
    "HEALTH_CHECK_SECONDS": "86400",
}


class QuickPostgres(Postgres):
    """A PostgreSQL that does not wait for the disk: only a crash of the machine would lose anything by it."""

    def command(self) -> Sequence[str]:
        """Run it for many tests at a time; what it shares is in its folder, which is deleted when it was killed."""
        options = ("fsync=off", "full_page_writes=off", "max_connections=600", "autovacuum_naptime=60s",
                   "dynamic_shared_memory_type=mmap")  # fmt: skip
        return [*super().command(), *(part for option in options for part in ("-c", option))]


class QuickKafka(Kafka):
    """A Kafka whose groups may miss a member after a second, and not only after six."""

    def _configuration(self) -> str:
        return super()._configuration() + "group.min.session.timeout.ms=1000\n"


class ProxiedKafka(QuickKafka):
    """A Kafka that can be reached through a proxy too.

    Its clients connect to the address that it advertises, so the listener after the proxy advertises the proxy's.
    """

    ports = (*QuickKafka.ports, "proxied")

    def __init__(self, state: State, proxies: Proxies) -> None:
        super().__init__(state)
        self.proxy = proxies.to(lambda: self.port("proxied"))

    def _configuration(self) -> str:
        lines = super()._configuration().splitlines()
        also = {
            "listeners": f",PROXIED://127.0.0.1:{self.port('proxied')}",
            "advertised.listeners": f",PROXIED://127.0.0.1:{self.proxy.port}",
            "listener.security.protocol.map": ",PROXIED:SASL_PLAINTEXT",
        }
        return "\n".join(
            (
                *(line + also.get(line.partition("=")[0], "") for line in lines),
                self._jaas_of("proxied"),
                "",
            )
        )


class RealServers:
    """One set of servers, from any of the processes that share it; a server starts when it is first asked for."""

    def __init__(self, folder: Path, proxies: Proxies | None = None) -> None:
        create_private(folder)
        self.folder = folder
        self._state = state = State(folder)
        kafka = ProxiedKafka(state, proxies) if proxies else QuickKafka(state)
        servers: tuple[Server, ...] = (QuickPostgres(state), OpenRabbitMQ(state), kafka, Redis(state), Mail(state))
        self._servers = {server.name: server for server in servers}
        self._up: set[str] = set()
        self._template: str | None = None
        #: Settings that this checkout knows, and the one that began the run does not: those of a new sink.
        self._of_new_logins: dict[str, str] | None = None

    @property
    def postgres(self) -> Postgres:
        """Return PostgreSQL, started."""
        server = self._started("postgres")
        assert isinstance(server, Postgres)
        return server

    @property
    def rabbitmq(self) -> OpenRabbitMQ:
        """Return RabbitMQ, started."""
        server = self._started("rabbitmq")
        assert isinstance(server, OpenRabbitMQ)
        return server

    @property
    def kafka(self) -> Kafka:
        """Return Kafka, started."""
        server = self._started("kafka")
        assert isinstance(server, Kafka)
        return server

    @property
    def kafka_proxy(self) -> Proxy:
        """Return the proxy before Kafka, which only a set of a worker's own has."""
        server = self._started("kafka")
        assert isinstance(server, ProxiedKafka)
        return server.proxy

    @property
    def redis(self) -> Redis:
        """Return Redis, started."""
        server = self._started("redis")
        assert isinstance(server, Redis)
        return server

    def all(self) -> tuple[Server, ...]:
        """Return every server, started."""
        self.start(*self._servers)
        return tuple(self._servers.values())

    def start(self, *names: str) -> None:
        """Start servers at the same time, those that no process of the run has started yet."""
        missing = [name for name in names if name not in self._up]
        if missing:
            with ThreadPoolExecutor(len(missing)) as pool:
                list(pool.map(self._started, missing))

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings by which the application finds them, up or not."""
        # Ports and secrets are chosen once, for all processes of the run.
        with _locked(self.folder / "environment.lock"):
            chosen: dict[str, str] | None = self._state.value("tests", "environment")
            if chosen is None:
                chosen = {"BUILD_ENV": "dev", "SECRET_KEY": "a key for tests, of more than 32 characters"}
                for server in self._servers.values():
                    server.choose_ports()
                    chosen |= server.settings()
                chosen |= {"BIND_HOST": "127.0.0.1", "APP_URL": "https://money-flow.example"}
                chosen["API_LIMITS_FACTOR"] = "10000"  # All tests are one client, and sign up thousands of people.
                self._state.change("tests", "environment", chosen)
            if self._of_new_logins is None:
                found = {name: text for server in self._servers.values() for name, text in server.settings().items()}
                self._of_new_logins = {name: text for name, text in found.items() if name not in chosen}
        return chosen | self._of_new_logins

    def clone_template(self, name: str) -> None:
        """Create a database with the schema of the product."""
        self.start(*_QUICK)
        if self._template is None:
            self._template = self._migrated_template()
        self.sql(f'create database "{name}" template "{self._template}" owner owner')

    def sql(self, statement: str) -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(self.postgres.superuser_conninfo(), autocommit=True) as connection:
            connection.execute(statement)

    def forget_environment(self) -> None:
        """Choose ports again: of a set that was kept, a server may have ended and its port be another's by now."""
        self._state.change("tests", "environment", None)

    def _migrated_template(self) -> str:
        """Migrate one database, to be cloned for each test; another checkout may have that of another schema here."""
        name = f"template_{_digest_of_schema()}"
        with _locked(self.folder / "template.lock"):
            if self._state.value("templates", name) is None:
                self.postgres.after_ready()  # The roles of a new sink.
                self.sql(f'drop database if exists "{name}"')
                self.sql(f'create database "{name}" owner owner')
                upgrade_schema(load_all(self.environment | {"POSTGRES_DB": name}))
                self._state.change("templates", name, "migrated")
        return name

    def _started(self, name: str) -> Server:
        """Return a server; the first process that asks for it starts it, and the others wait until it is ready."""
        server = self._servers[name]
        if name not in self._up:
            chosen = self.environment
            assert chosen
            with _locked(self.folder / f"{name}.lock"):
                identity = server.identity()
                if identity is None or self._state.value("ready", name) != [identity.pid, identity.started]:
                    _guard()
                    packages.ensure(Console(stderr=True))
                    server.start()
                    server.wait_ready()
                    identity = server.identity()
                    assert identity is not None
                    self._state.change("ready", name, (identity.pid, identity.started))
            self._up.add(name)
        return server


class Fleet:
    """The sets of servers of this run: one that all processes share, and one of this process's own to be broken."""

    def __init__(self, run: Path) -> None:
        kept = run / "kept"
        self._run = run
        self.shared = RealServers(kept.resolve() if kept.is_symlink() else run / "shared")
        self._own: RealServers | None = None
        self._proxies: Proxies | None = None

    def own(self) -> RealServers:
        """Return the set that only this process uses, so that its tests may stop and kill servers."""
        if self._own is None:
            self._proxies = Proxies()
            folder = self._run / os.environ.get("PYTEST_XDIST_WORKER", "main")
            self._own = RealServers(folder, self._proxies)
        return self._own

    def close(self) -> None:
        """End what this process alone uses."""
        if self._own and self._proxies:
            end_servers(self._own.folder)
            self._proxies.close()


@contextmanager
def fresh_environment(servers: RealServers) -> Iterator[dict[str, str]]:
    """Create a database, and return the environment of a process that sees only it, and a vhost, topics and files."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    files = servers.folder / "files" / name
    servers.clone_template(name)
    try:
        unique = {"POSTGRES_DB": name, "RABBITMQ_VHOST": name, "KAFKA_TOPIC_PREFIX": f"{name}."}
        yield servers.environment | _FAST | unique | {"STORAGE_URL": f"file:{files}"}
    finally:
        shutil.rmtree(files, ignore_errors=True)
        with suppress(psycopg.Error):
            servers.sql(f'drop database "{name}" with (force)')


def begin_run(*, keep: bool) -> Path:
    """Make the folder of a run and let every process that is started from now on know it."""
    for left in chain.from_iterable(
        place.glob(f"{_PREFIX}*/process") for place in (_DISK, _MEMORY)
    ):  # A run that was killed with its guardian, or before it had one.
        if guardian.owner(left.parent) is None:
            guardian.end_run(left.parent)
    run = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_place()))
    guardian.begin(run)
    os.environ[RUN] = str(run)
    if keep:
        create_home()
        kept = RealServers(_kept_folder())
        kept.forget_environment()
        (run / "kept").symlink_to(kept.folder)
    return run


def _place() -> Path:
    """Return where a run's folder is made: in memory where it fits, because each test creates hundreds of files."""
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    return _DISK


def watch_copy(checkout: Path) -> None:
    """Have the stack of a copy of the checkout end with the run, whatever ends the run."""
    _guard()
    guardian.watch_copy(Path(os.environ[RUN]), checkout)


def _guard() -> None:
    """Start the guardian of the run, once: a run that is killed cleans up nothing by itself."""
    run = Path(os.environ[RUN])
    with _locked(run / "guardian.lock"):
        if (run / "guardian.log").exists():
            return
        spawn(
            [sys.executable, "-m", "tests.support.guardian", str(run)],
            environment=process_environment() | {"PYTHONPATH": str(CHECKOUT)},
            log=run / "guardian.log",
            folder=CHECKOUT,
        )


def _kept_folder() -> Path:
    return stack_home() / "tests"


def _digest_of_schema() -> str:
    """Return what changes with the schema, or with the roles to which it grants rights."""
    files = [*(CHECKOUT / "migrations").rglob("*.py"), *(CHECKOUT / "migrations").rglob("*.sql")]
    roles = CHECKOUT / "ops" / "docker" / "postgres"
    files += [roles / name for name in ("roles", "roles.sh", "role.sql", "table_owner.sql", "database.sql")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """End the servers that a run with KEEP=1 has left, and delete their data."""
    if _kept_folder().exists():
        end_servers(_kept_folder())


if __name__ == "__main__":
    main()
