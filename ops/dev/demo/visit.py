"""Visit: active people sign in, change the profile, keep books, import, export, sign out; some trespass."""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from moneyflow.platform.ids import new_id
from ops.dev.demo.books import Books
from ops.dev.demo.client import Client
from ops.dev.demo.exports import Exports
from ops.dev.demo.people import Person
from ops.dev.demo.statements import Imports, imports_again

#: Every such person tries what is not allowed.
_TRESPASSER = 10
_WRONG_PASSWORDS = 2
#: What a trespasser tries, with the status that refuses it properly.
ATTEMPTS = {
    "wrong password": 401,
    "foreign session": 404,
    "administrators' route": 403,
    "foreign transaction": 404,
    "outdated change": 412,
    "ended session": 401,
}


def is_trespasser(person: Person) -> bool:
    """Return whether the person tries what is not allowed."""
    return person.number % _TRESPASSER == 0


@dataclass
class Visits:
    """The visits of all people, and what became of them."""

    client: Client
    request_id: Callable[[str], str]
    books: Books = field(default_factory=Books)
    exports: Exports = field(default_factory=Exports)
    done: set[int] = field(default_factory=set)
    imports: Imports = field(init=False)
    #: Attempts by name: those that were refused properly, and the statuses of the others.
    refused: Counter[str] = field(default_factory=Counter)
    tolerated: list[str] = field(default_factory=list)
    #: A session of somebody else, for those who try to end one.
    _foreign_session: str = field(default_factory=lambda: str(new_id()))
    #: The path of a transaction of somebody else, for those who try to read one.
    _foreign_transaction: str = field(default_factory=lambda: f"/v1/transactions/{new_id()}")

    def __post_init__(self) -> None:
        self.imports = Imports(self.client)

    async def run(self, person: Person, password: str) -> None:
        """Visit as a person, once."""
        body = {"email": person.email, "password": password, "transport": "bearer"}
        if is_trespasser(person):
            for _ in range(_WRONG_PASSWORDS):
                wrong = {**body, "password": f"not {password}"}
                await self._try("wrong password", "POST", "/v1/sessions", {}, wrong)
        session = await self._send(201, "POST", "/v1/sessions", {}, body)
        bearer = {"Authorization": f"Bearer {session.json()['token']}"}
        if is_trespasser(person):
            await self._try("foreign session", "DELETE", f"/v1/sessions/{self._foreign_session}", bearer)
            await self._try("administrators' route", "POST", "/v1/users/batch", bearer, {})
        self._foreign_session = session.json()["id"]
        profile = await self._send(200, "GET", "/v1/users/me", bearer)
        match = {"If-Match": profile.headers["ETag"]}
        await self._send(200, "PATCH", "/v1/users/me", {**bearer, **match}, {"name": f"Person {person.number}"})
        path, outdated = await self.books.keep(person, bearer, self._send)
        if is_trespasser(person):
            await self._try("foreign transaction", "GET", self._foreign_transaction, bearer)
            await self._try("outdated change", "PATCH", path, {**bearer, "If-Match": outdated}, {"note": "too late"})
        self._foreign_transaction = path
        keys = [secrets.token_hex(16) for _ in range(1 + imports_again(person))]
        await self.imports.run(person, {**bearer, "X-Request-Id": self.request_id("import")}, keys)
        if not await self.exports.ask(person, bearer, self._send):  # Else the session ends after the download.
            await self._send(204, "DELETE", "/v1/sessions/current", bearer)
        if is_trespasser(person):
            await self._try("ended session", "GET", "/v1/users/me", bearer)
        self.done.add(person.number)

    async def collect(self, path: str, address: str) -> None:
        """Follow the link in a mail about an export."""
        await self.exports.collect(path, address, self._send)

    async def _send(
        self, status: int, method: str, path: str, headers: dict[str, str], body: dict[str, str] | None = None
    ) -> httpx.Response:
        named = {"X-Request-Id": self.request_id("visit"), **headers}
        answer = await self.client.send(method, path, named, body)
        if answer.status_code != status:
            raise RuntimeError(f"{method} {path} was answered with {answer.status_code}, not {status}: {answer.text}")
        return answer

    async def _try(
        self, what: str, method: str, path: str, headers: dict[str, str], body: dict[str, str] | None = None
    ) -> None:
        named = {"X-Request-Id": self.request_id("trespass"), **headers}
        answer = await self.client.send(method, path, named, body)
        if answer.status_code == ATTEMPTS[what]:
            self.refused[what] += 1
        else:
            self.tolerated.append(f"{what}: {method} {path} was answered with {answer.status_code}")


def expected_refusals(visitors: list[Person]) -> Counter[str]:
    """Return how many attempts of each name these people make."""
    trespassers = sum(map(is_trespasser, visitors))
    return Counter({what: trespassers * (_WRONG_PASSWORDS if what == "wrong password" else 1) for what in ATTEMPTS})
