"""The stage of one round: the product's processes, each with proxies of its own before every server."""

import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import psycopg

from moneyflow.settings import AllSettings, load_all
from tests.support import rabbitmq_admin
from tests.support.processes import Process, Processes
from tests.support.proxy import Proxies, Proxy
from tests.support.servers import RealServers
from tests.support.waiting import eventually

Kind = Literal["worker", "relay", "api", "consumer"]
SERVERS = ("postgres", "rabbitmq", "redis")

_TABLES = "create table requests (number integer not null); grant insert, select on requests to app, worker"


@dataclass
class Actor:
    """One process of the product and its part."""

    kind: Kind
    process: Process
    proxies: dict[str, Proxy]


class Scene:
    """Starts what a round needs, and brings all of it back in the end."""

    def __init__(
        self, servers: RealServers, settings: AllSettings, environment: dict[str, str], processes: Processes, *,
        proxies: Proxies, sabotage: str = "nothing",
    ) -> None:  # fmt: skip
        self.servers = servers
        self.settings = settings
        self.sabotage = sabotage
        self.actors: list[Actor] = []
        self._loop = proxies
        self.client_proxies = self.new_proxies()
        #: Processes that ended though no test had ended them, by kind and exit code.
        self.ended_by_themselves: Counter[str] = Counter()
        self._environment = environment
        self.processes = processes
        with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
            connection.execute(_TABLES)

    def start(
        self, kind: Kind, *, sabotage: str | None = None, wait_ready: bool = True, sink: str = "audit", **settings: str
    ) -> Actor:
        """Start one more process of that kind, with more settings; `sink` is of a consumer."""
        proxies = self.new_proxies()
        environment = self._through(proxies) | settings
        sabotage = sabotage or self.sabotage
        match kind:
            case "worker":
                process = self.processes.worker(sabotage=sabotage, wait_ready=wait_ready, **environment)
            case "relay":
                process = self.processes.relay(sabotage=sabotage, wait_ready=wait_ready, **environment)
            case "consumer":
                process = self.processes.consumer(sink, sabotage=sabotage, wait_ready=wait_ready, **environment)
            case "api":
                process = self.processes.api(sabotage=sabotage, wait_ready=wait_ready, API_PROCESSES="1", **environment)
        self.actors.append(Actor(kind, process, proxies))
        return self.actors[-1]

    def new_proxies(self) -> dict[str, Proxy]:
        """Return proxies before the servers, for one more process."""
        return {name: self._loop.to(getattr(self.servers, name).port) for name in SERVERS}

    def of(self, kind: Kind) -> list[Actor]:
        """Return the actors of that kind."""
        return [actor for actor in self.actors if actor.kind == kind]

    def client_settings(self) -> AllSettings:
        """Return the settings of a client that comes through proxies as well."""
        return load_all(self._environment | self._through(self.client_proxies))

    def revive(self) -> None:
        """Start what does not run, as a supervisor does; note what ended though no test had ended it."""
        for actor in self.actors:
            if not actor.process.is_running():
                self.ended_by_themselves[f"{actor.kind} with {actor.process.exit_code()}"] += 1
                actor.process.launch()

    def replace(self, actor: Actor) -> None:
        """Kill a process with all that it has started, and start it again."""
        actor.process.kill_all()
        actor.process.launch()

    def heal_servers(self) -> None:
        """End every fault of servers and connections: all are up and reachable."""
        for proxy in [self.servers.kafka_proxy, *self.client_proxies.values(), *self._actors_proxies()]:
            proxy.flow()
        for server in self.servers.all():
            server.start()
        for server in self.servers.all():
            server.wait_ready()
        rabbitmq_admin.create_vhost(self.servers, self.settings.rabbitmq_vhost)

    def heal(self) -> None:
        """End every fault, those of processes too: all are started, and ready in the end."""
        self.heal_servers()
        for actor in self.actors:
            if actor.process.is_running():
                actor.process.signal_all(signal.SIGCONT)
        self.revive()
        for actor in self.actors:
            eventually(actor.process.is_ready, seconds=60, what=f"{actor.process.command} is ready after all faults")

    def leader(self) -> Actor | None:
        """Return the relay that leads, when one says so."""
        relays = (a for a in self.of("relay") if a.process.says("/metrics", "moneyflow_relay_leader 1.0"))
        return next(relays, None)

    def superuser(self) -> "psycopg.Connection[psycopg.rows.DictRow]":
        """Connect with this round's database as no process of the product can, past the proxies."""
        conninfo = psycopg.conninfo.make_conninfo(
            self.servers.postgres.superuser_conninfo(), dbname=self.settings.postgres_db
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                return psycopg.connect(conninfo, autocommit=True, row_factory=psycopg.rows.dict_row)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _actors_proxies(self) -> list[Proxy]:
        return [proxy for actor in self.actors for proxy in actor.proxies.values()]

    def _through(self, proxies: dict[str, Proxy]) -> dict[str, str]:
        ports = {f"{name.upper()}_PORT": str(proxy.port) for name, proxy in proxies.items()}
        return ports | {"KAFKA_PORT": str(self.servers.kafka_proxy.port)}
