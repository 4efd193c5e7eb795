"""Exports: some people export a statement, follow the link in the mail, and look into the file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from moneyflow.platform.patterns import Pattern
from ops.dev.demo.books import Plan, Send
from ops.dev.demo.people import Person

_YEAR = {"from": "2026-01-01", "to": "2026-12-31"}
#: Which people export, by the last digit of their number, and in which format.
_FORMATS = {1: "csv", 2: "pdf", 5: "csv"}
_LINK = Pattern(r"/v1/files/[0-9a-f-]{36}", longest=100_000)


def format_of(person: Person) -> str | None:
    """Return the format in which the person exports a statement; None of those who do not."""
    return _FORMATS.get(person.number % 10)


def expected_exports(visitors: Iterable[Person]) -> Counter[str]:
    """Return how many statements these people export, by format."""
    return Counter(format for format in map(format_of, visitors) if format is not None)


@dataclass
class Exports:
    """The exports that wait for their mail, and those whose file was read."""

    read: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    #: By the mailbox: who has exported, and the session that is ended after the download.
    _waiting: dict[str, tuple[Person, dict[str, str]]] = field(default_factory=dict)

    async def ask(self, person: Person, bearer: dict[str, str], send: Send) -> bool:
        """Export a statement; return whether the person does."""
        format = format_of(person)
        if format is None:
            return False
        self._waiting[_mailbox(person.email)] = person, bearer
        await send(202, "POST", "/v1/exports", bearer, {**_YEAR, "format": format})
        return True

    def link_in(self, mail_text: str, address: str) -> str | None:
        """Return the path of the file in a mail about an export of a person, once."""
        link = _LINK.search(mail_text)
        return link[0] if link is not None and _mailbox(address) in self._waiting else None

    async def collect(self, path: str, address: str, send: Send) -> None:
        """Follow the link, look into the file, and sign out."""
        person, bearer = self._waiting.pop(_mailbox(address))
        format = format_of(person)
        assert format is not None, "the person has exported"
        file = await send(200, "GET", path, bearer)
        fault = _fault(person, format, file)
        if fault is None:
            self.read[format] += 1
        else:
            self.faults.append(f"the {format} of {person.email} {fault}")
        await send(204, "DELETE", "/v1/sessions/current", bearer)


def _mailbox(address: str) -> str:
    """Return an address as it is in a mail: the letters of its domain are encoded there."""
    name, _, domain = address.lower().rpartition("@")
    return f"{name}@{domain.encode('idna').decode()}"


def _fault(person: Person, format: str, file: httpx.Response) -> str | None:
    """Return what is wrong with a file."""
    if format == "pdf":
        return None if file.content.startswith(b"%PDF-") else "is no PDF"
    plan = Plan.of(person)
    has = file.content.decode("utf-8-sig")
    wanted = [f"2026-02-28,{amount:f},{plan.currency}," for amount in (plan.salary, -plan.groceries)]
    missing = [line for line in wanted if line not in has]
    return f"has no line {missing[0]}" if missing else None
