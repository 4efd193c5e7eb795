"""Crowd: the people's requests: they sign up through the API, twelve at once, and follow the link in their mail."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from moneyflow.platform.patterns import Pattern
from ops.dev.demo.people import Person

_AT_ONCE = 12
_TOKEN = Pattern(r"#token=([A-Za-z0-9_-]+)", longest=100_000)
#: Attempts of a request while the API is down; they share one `Idempotency-Key`, as those of every client should.
_ATTEMPTS = 20


@dataclass
class Crowd:
    """The people and the answers to their requests."""

    people: Sequence[Person]
    tag: str
    api: httpx.AsyncClient
    sent: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    activated: set[str] = field(default_factory=set)
    repeated: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answered(self, count: int) -> None:
        """Wait until `count` sign-ups are answered."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.answers) >= count)

    async def sign_up(self) -> None:
        """Sign everyone up, twelve at once."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(person: Person) -> None:
            async with places:
                await self._sign_up(person)

        await asyncio.gather(*(one(person) for person in self.people))

    async def activate(self, mail_text: str) -> None:
        """Follow the link of an activation mail."""
        token = _TOKEN.search(mail_text)
        if token is None or token[1] in self.activated:
            return
        self.activated.add(token[1])
        headers = {"X-Request-Id": self.request_id("activation")}
        answer = await self._post("/v1/users/activation", {"token": token[1]}, headers)
        if not answer.is_success:
            self.activated.discard(token[1])
            raise RuntimeError(f"an activation was answered with {answer.status_code}: {answer.text}")

    def request_id(self, what: str) -> str:
        """Return a request id; all jobs and events of the request carry it."""
        return f"{self.prefix}{what}-{secrets.token_hex(4)}"

    @property
    def prefix(self) -> str:
        """Return the prefix of every request id of this play."""
        return f"demo-{self.tag}-"

    @property
    def accepted(self) -> int:
        """Return how many sign-ups were answered with 202."""
        return sum(status == httpx.codes.ACCEPTED for status in self.answers.values())

    @property
    def refused(self) -> int:
        """Return how many sign-ups were answered with 422."""
        return sum(status == httpx.codes.UNPROCESSABLE_ENTITY for status in self.answers.values())

    def surprises(self) -> list[str]:
        """Return a message for each row whose answer was not the expected one."""
        found = []
        for person in self.people:
            status = self.answers.get(person.number, 0)
            wanted = httpx.codes.ACCEPTED if person.is_accepted() else httpx.codes.UNPROCESSABLE_ENTITY
            if status != wanted:
                found.append(f"row {person.number} ({person.email}) was answered with {status}, not {int(wanted)}")
        return found

    async def _sign_up(self, person: Person) -> None:
        body = {"email": person.email, "name": person.name, "password": secrets.token_urlsafe(12)}
        headers = {"X-Request-Id": self.request_id(str(person.number)), "Idempotency-Key": secrets.token_hex(16)}
        self.sent += 1
        answer = await self._post("/v1/users", body, headers)
        self.answers[person.number] = answer.status_code
        async with self.changed:
            self.changed.notify_all()

    async def _post(self, path: str, body: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self.api.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.repeated[path] += 1
            else:
                if answer.status_code not in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.CONFLICT}:
                    return answer
                self.repeated[path] += 1
            await asyncio.sleep(min(0.1 * 2**attempt, 2))
        raise RuntimeError(f"{urlsplit(str(self.api.base_url)).netloc}{path} did not answer in {_ATTEMPTS} attempts")
