"""Sites: the two applications as their users run them, on one database server, each with the same people and books."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, LiteralString
from urllib.parse import urlencode

import httpx
import psutil

from moneyflow.accounts.passwords import Passwords
from ops.dev.bench.api import load
from ops.dev.bench.jobs.systems import PROCESSES
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.dev.bench.peers.addresses import FASTAPI_DATABASE
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import Identity, stop, wait_until

#: As many as connections at most, twice: no two requests at one time change the same row.
PEOPLE = 128
#: Transactions of each person at the start.
TRANSACTIONS = 1000
_PASSWORD = "correct horse battery"  # noqa: S105 - of people that the benchmark makes up
_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_EMAILS = tuple(f"person{number}@bench.example" for number in range(PEOPLE))
#: Names that take turns, so that every change changes something.
_NAMES = ("Ada Lovelace", "Grace Hopper")
_JSON = {"Content-Type": "application/json"}
_NEW_TRANSACTION = {
    "kind": "expense", "amount": "12.30", "currency": "EUR", "date": "2026-02-28", "note": "two loaves of bread",
    "tags": ["bakery", "weekend"],
}  # fmt: skip
#: The columns that both applications have.
_ADD_TRANSACTIONS: LiteralString = """
insert into {table} (id, {owner}, kind, amount, currency, date, note, tags, created_at)
select gen_random_uuid(), person.id, case when number %% 30 = 0 then 'income' else 'expense' end,
    round((random() * 100 + 1)::numeric, 2), 'EUR', date '2026-02-28' - number / 2,
    'purchase number ' || number || ' of the book', array['groceries', 'month' || number / 60], now()
from {people} person, generate_series(1, %(count)s) number
"""
_ONE_OF_EACH: LiteralString = """
select distinct on (person.email) person.email, one.id
from {people} person join {table} one on one.{owner} = person.id order by person.email
"""


class Site(ABC):
    """An application: its processes, its people, and the requests of each scenario."""

    name: ClassVar[str]
    #: The address of the caller's own account; it answers 401 once the application is ready.
    me: ClassVar[str]

    #: The address of the caller's transactions.
    transactions: ClassVar[str]
    #: The database, by default the product's, and the names in it: the tables, and the column of the owner.
    database: ClassVar[str | None] = None
    tables: ClassVar[Mapping[str, LiteralString]]

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.port = free_port()
        self._process: Identity | None = None
        self._tokens: Sequence[str] = ()
        self._transactions: Sequence[str] = ()

    @property
    @abstractmethod
    def command(self) -> tuple[str, ...]:
        """Return the arguments of `python -m`."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the settings that differ from the testbed's."""
        return {}

    @abstractmethod
    def add_people(self, password_hash: str) -> None:
        """Insert the people, activated."""

    @abstractmethod
    def sign_in(self, email: str) -> tuple[str, Mapping[str, str], str]:
        """Return the path, the headers and the body of a sign-in."""

    @abstractmethod
    def token(self, answer: Any) -> str:
        """Return the token in the answer to a sign-in."""

    @abstractmethod
    def change(self, name: str) -> tuple[Mapping[str, str], str]:
        """Return the headers and the body of a change of the name."""

    def new_transaction(self) -> Mapping[str, str]:
        """Return the headers of a request that adds a transaction."""
        return _JSON

    def start(self) -> None:
        """Add the people with their transactions, start the processes, and sign everybody in."""
        self.add_people(Passwords().hash(_PASSWORD))
        self._sql(_ADD_TRANSACTIONS, count=TRANSACTIONS)
        self._testbed.sql("vacuum analyze", database=self.database)
        found = dict(self._sql(_ONE_OF_EACH))
        self._transactions = [str(found[email]) for email in _EMAILS]
        self._process = self._testbed.spawn(*self.command, environment=self.environment)
        if not wait_until(self._is_ready, seconds=_READY_SECONDS):
            raise BenchError(f"{self.name} was not ready within {_READY_SECONDS:.0f} seconds")
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False) as client:
            self._tokens = [self._signed_in(client, email) for email in _EMAILS]

    def stop(self) -> None:
        """Stop the processes."""
        if self._process:
            stop(self._process, seconds=_STOP_SECONDS)

    def requests(self, scenario: str) -> list[bytes]:
        """Return the whole requests of a scenario, which clients send in turn."""
        if scenario == "sign_in":
            posts = [self.sign_in(email) for email in _EMAILS]
            return [self._http("POST", path, headers, body) for path, headers, body in posts]
        bearers = [{"Authorization": f"Bearer {token}"} for token in self._tokens]
        if scenario == "get_me":
            return [self._http("GET", self.me, bearer) for bearer in bearers]
        if scenario == "list_transactions":
            return [self._http("GET", f"{self.transactions}?limit=50", bearer) for bearer in bearers]
        if scenario == "get_transaction":
            paths = [f"{self.transactions.rstrip('/')}/{one}" for one in self._transactions]
            return [self._http("GET", path, bearer) for path, bearer in zip(paths, bearers, strict=True)]
        if scenario == "create_transaction":
            headers, body = self.new_transaction(), json.dumps(_NEW_TRANSACTION)
            return [self._http("POST", self.transactions, {**bearer, **headers}, body) for bearer in bearers]
        changes = [self.change(name) for name in _NAMES]
        return [
            self._http("PATCH", self.me, {**bearer, **headers}, body) for headers, body in changes for bearer in bearers
        ]

    def memory(self) -> dict[str, float]:
        """Return the MiB of all its processes together: PSS shares out what they share, RSS counts it for each."""
        assert self._process
        main = psutil.Process(self._process.pid)
        found = [process.memory_full_info() for process in (main, *main.children(recursive=True))]
        return {
            "pss_mib": sum(one.pss for one in found) / 2**20,
            "rss_mib": sum(one.rss for one in found) / 2**20,
        }

    def _sql(self, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        return self._testbed.sql(statement.format(**self.tables), database=self.database, **parameters)

    def _is_ready(self) -> bool:
        if self._process is None or not self._process.is_alive():
            raise BenchError(f"{self.name} ended while it started")
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}{self.me}", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.UNAUTHORIZED

    def _signed_in(self, client: httpx.Client, email: str) -> str:
        path, headers, body = self.sign_in(email)
        answer = client.post(path, headers=dict(headers), content=body)
        if not answer.is_success:
            raise BenchError(f"{self.name} answered a sign-in with {answer.status_code}: {answer.text}")
        return self.token(answer.json())

    def _http(self, method: str, path: str, headers: Mapping[str, str], body: str = "") -> bytes:
        length = {"Content-Length": str(len(body.encode()))} if body else {}
        lines = {"Host": f"127.0.0.1:{self.port}", **headers, **length}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()


class MoneyFlow(Site):
    """The API as deployed: gunicorn with its configuration; the relay does not run, so events stay in the outbox."""

    name = "Money Flow"
    me = "/v1/users/me"
    transactions = "/v1/transactions"
    tables: ClassVar = {"table": "transactions", "people": "users", "owner": "user_id"}

    @property
    def command(self) -> tuple[str, ...]:
        return ("gunicorn", "--config", "python:api.server")

    @property
    def environment(self) -> Mapping[str, str]:
        # One client sends everything: each request is counted as ever, and none is one too many.
        more = {"API_PROCESSES": str(PROCESSES), "API_LIMITS_FACTOR": "1000000"}
        return {"APP_PORT": str(self.port), "API_METRICS_PORT": str(free_port()), **more}

    def add_people(self, password_hash: str) -> None:
        self._testbed.sql(
            "insert into users (id, email, name, password_hash, activated_at) "
            "select gen_random_uuid(), email, 'Ada Lovelace', %(hash)s, now() from unnest(%(emails)s::text[]) email",
            hash=password_hash, emails=list(_EMAILS),
        )  # fmt: skip

    def sign_in(self, email: str) -> tuple[str, Mapping[str, str], str]:
        body = json.dumps({"email": email, "password": _PASSWORD, "transport": "bearer"})
        return "/v1/sessions", {"Content-Type": "application/json"}, body

    def token(self, answer: Any) -> str:
        return str(answer["token"])

    def change(self, name: str) -> tuple[Mapping[str, str], str]:
        return {**_JSON, "If-Match": "*"}, json.dumps({"name": name})

    def new_transaction(self) -> Mapping[str, str]:
        return {**_JSON, "Idempotency-Key": load.ANOTHER_EACH_TIME}


class FastApi(Site):
    """The application of `peers/fastapi_app.py` under uvicorn, with as many processes."""

    name = "FastAPI + SQLModel"
    me = "/api/v1/users/me"
    transactions = "/api/v1/transactions/"
    database = FASTAPI_DATABASE
    tables: ClassVar = {"table": "transaction", "people": '"user"', "owner": "owner_id"}

    @property
    def command(self) -> tuple[str, ...]:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(PROCESSES))
        return ("uvicorn", "ops.dev.bench.peers.fastapi_app:app", *where)

    def add_people(self, password_hash: str) -> None:
        self._testbed.sql(f"create database {FASTAPI_DATABASE} owner app")
        self._testbed.run("ops.dev.bench.peers.fastapi_app")
        self._testbed.sql(
            'insert into "user" (id, email, is_active, is_superuser, full_name, hashed_password, created_at) '
            "select gen_random_uuid(), email, true, false, 'Ada Lovelace', %(hash)s, now() "
            "from unnest(%(emails)s::text[]) email",
            database=FASTAPI_DATABASE, hash=password_hash, emails=list(_EMAILS),
        )  # fmt: skip

    def sign_in(self, email: str) -> tuple[str, Mapping[str, str], str]:
        body = urlencode({"username": email, "password": _PASSWORD})
        return "/api/v1/login/access-token", {"Content-Type": "application/x-www-form-urlencoded"}, body

    def token(self, answer: Any) -> str:
        return str(answer["access_token"])

    def change(self, name: str) -> tuple[Mapping[str, str], str]:
        return _JSON, json.dumps({"full_name": name})
