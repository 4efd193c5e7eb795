"""Crowd: the requests of the people: they sign up, twelve at once, follow the link in their mail, and visit."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

import httpx

from moneyflow.platform.patterns import Pattern
from ops.dev.demo.client import Client
from ops.dev.demo.people import Person
from ops.dev.demo.visit import Visits

_AT_ONCE = 12
_TOKEN = Pattern(r"#token=([A-Za-z0-9_-]+)", longest=100_000)


@dataclass
class Crowd:
    """The people and the answers to their requests."""

    people: Sequence[Person]
    tag: str
    api: httpx.AsyncClient
    sent: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    activated: set[str] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self._client = Client(self.api)
        self.visits = Visits(self._client, self.request_id)
        self._passwords: dict[int, str] = {}
        self._of_jobs: dict[str, Person] = {}
        self._visiting: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)

    @property
    def repeated(self) -> Counter[str]:
        """Return how often requests were sent again, by path."""
        return self._client.repeated

    async def answered(self, count: int) -> None:
        """Wait until `count` sign-ups are answered."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.answers) >= count)

    async def visited(self, count: int) -> None:
        """Wait until the visits of `count` people are over."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.visits.done) >= count)

    async def sign_up(self) -> None:
        """Sign everyone up, twelve at once; an address that is there twice again once its first account is active.

        Else the later sign-up would replace the account, and end the link that is in the first mail.
        """
        owner = {person.email.lower(): person for person in reversed(self.people) if person.is_accepted()}
        again = [person for person in self.people if person.is_accepted() and owner[person.email.lower()] != person]
        await asyncio.gather(*(self._sign_up(person) for person in self.people if person not in again))
        owners = {owner[person.email.lower()].number for person in again}
        async with self.changed:
            await self.changed.wait_for(lambda: owners <= self.visits.done)
        await asyncio.gather(*(self._sign_up(person) for person in again))

    async def follow(self, mail_text: str, job_id: str, address: str) -> None:
        """Follow the link of a mail: begin the visit of an activated person, or download what a person has exported."""
        path = self.visits.exports.link_in(mail_text, address)
        if path is not None:
            self._begin(self._collect(path, address))
            return
        await self._activate(mail_text, job_id)

    async def _activate(self, mail_text: str, job_id: str) -> None:
        token = _TOKEN.search(mail_text)
        if token is None or token[1] in self.activated:
            return
        self.activated.add(token[1])
        headers = {"X-Request-Id": self.request_id("activation")}
        answer = await self._client.send("POST", "/v1/users/activation", headers, {"token": token[1]})
        if not answer.is_success:
            self.activated.discard(token[1])
            raise RuntimeError(f"an activation was answered with {answer.status_code}: {answer.text}")
        self._begin(self._visit(job_id))

    def _begin(self, visit: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(visit)
        self._visiting.add(task)
        task.add_done_callback(self._visiting.discard)

    async def _collect(self, path: str, address: str) -> None:
        async with self._places:
            try:
                await self.visits.collect(path, address)
            except RuntimeError as error:
                self.visits.exports.faults.append(str(error))

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
        """Return a message for each row whose answer was not the expected one, and for each attempt that succeeded."""
        found = [*self.visits.tolerated, *self.visits.exports.faults]
        for person in self.people:
            status = self.answers.get(person.number, 0)
            wanted = httpx.codes.ACCEPTED if person.is_accepted() else httpx.codes.UNPROCESSABLE_ENTITY
            if status != wanted:
                found.append(f"row {person.number} ({person.email}) was answered with {status}, not {int(wanted)}")
        return found

    async def _sign_up(self, person: Person) -> None:
        self._passwords[person.number] = password = secrets.token_urlsafe(12)
        body = {"email": person.email, "name": person.name, "password": password}
        headers = {"X-Request-Id": self.request_id(str(person.number)), "Idempotency-Key": secrets.token_hex(16)}
        async with self._places:
            self.sent += 1
            answer = await self._client.send("POST", "/v1/users", headers, body)
        if answer.status_code == httpx.codes.ACCEPTED:
            self._of_jobs[answer.json()["job_id"]] = person
        self.answers[person.number] = answer.status_code
        async with self.changed:
            self.changed.notify_all()

    async def _visit(self, job_id: str) -> None:
        async with self.changed:  # The mail may be faster than the answer to the sign-up.
            await self.changed.wait_for(lambda: job_id in self._of_jobs)
        person = self._of_jobs[job_id]
        async with self._places:
            try:
                await self.visits.run(person, self._passwords[person.number])
            except RuntimeError as error:
                self.visits.tolerated.append(str(error))
                self.visits.done.add(person.number)
        async with self.changed:
            self.changed.notify_all()
