"""Statements that the people import, OFX and CSV as banks write them, some lines wrong on purpose; and their sums."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from ops.dev.demo.client import Client
from ops.dev.demo.people import Person

_FOLDER = Path(__file__).with_suffix("")
#: One in so many people imports a long statement, in whose import a worker is killed.
_LONG = 50
#: The rows of a long statement: some seconds of work.
_LONG_ROWS = 5000
#: Looks at an import, a fifth of a second apart, until it has ended.
_LOOKS = 600
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A statement, and what it adds and what is refused of it, counted by hand and not by the code that is watched."""

    name: str
    currency: str
    added: int
    refused: int
    income: Decimal
    expense: Decimal
    #: How often its rows are there, each time of another day.
    content: bytes = b""

    def bytes(self) -> bytes:
        """Return the file."""
        return self.content or (_FOLDER / self.name).read_bytes()

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of the form besides the file: this one file names no currency."""
        return {"currency": self.currency} if self.name.endswith(".csv") else {}


def _long() -> Sample:
    rows = [f"2026-{1 + n // 28 % 12:02}-{1 + n % 28:02},-1.25,Card payment {n}" for n in range(_LONG_ROWS)]
    content = "Date,Amount,Description\n" + "\n".join(rows) + "\n"
    return Sample(
        name="card.csv", currency="EUR", added=_LONG_ROWS, refused=0, income=Decimal(0),
        expense=_LONG_ROWS * Decimal("1.25"), content=content.encode(),
    )  # fmt: skip


_SAMPLES = (
    Sample(name="girokonto.csv", currency="EUR", added=8, refused=2, income=Decimal("2865.66"),
           expense=Decimal("2239.55")),
    Sample(name="current-account.csv", currency="GBP", added=6, refused=2, income=Decimal("2428.40"),
           expense=Decimal("1020.70")),
    Sample(name="checking.ofx", currency="USD", added=5, refused=2, income=Decimal("3151.29"),
           expense=Decimal("1284.34")),
    Sample(name="carte.ofx", currency="EUR", added=4, refused=1, income=Decimal("25.00"), expense=Decimal("104.30")),
)  # fmt: skip
_LONG_SAMPLE = _long()


def sample_of(person: Person) -> Sample:
    """Return the statement that a person imports."""
    return _LONG_SAMPLE if person.number % _LONG == 1 else _SAMPLES[person.number % len(_SAMPLES)]


def imports_again(person: Person) -> bool:
    """Return whether a person sends the statement a second time, which adds nothing."""
    return person.number % 5 == 0


@dataclass
class Imports:
    """The imports of the people."""

    client: Client
    #: Rows of all imports that have ended, by what came of them.
    rows: Counter[str] = field(default_factory=Counter)

    async def run(self, person: Person, headers: dict[str, str], keys: Sequence[str]) -> None:
        """Import the statement of a person, once for each key; wait until each has ended."""
        sample = sample_of(person)
        for key in keys:
            sent = {**headers, "Idempotency-Key": key}
            files = {"file": (sample.name, sample.bytes())}
            answer = await self.client.send("POST", "/v1/imports", sent, files=files, form=sample.form)
            if answer.status_code != 202:  # noqa: PLR2004 - accepted
                raise RuntimeError(f"an import was answered with {answer.status_code}: {answer.text}")
            await self._until_ended(f"/v1/imports/{answer.json()['id']}", headers)

    async def _until_ended(self, path: str, headers: dict[str, str]) -> None:
        for _ in range(_LOOKS):
            found = (await self.client.send("GET", path, headers)).json()
            if found.get("finished_at"):
                if found["state"] != "succeeded":
                    raise RuntimeError(f"an import has {found['state']}: {found['error']}")
                self.rows.update({name: found[f"rows_{name}"] for name in ("added", "duplicate", "refused")})
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"{path} has not ended; its job is {found['job_id']}")


def expected_rows(people: Sequence[Person]) -> Counter[str]:
    """Return what comes of the rows of all imports of these people."""
    found: Counter[str] = Counter()
    for person in people:
        sample, again = sample_of(person), int(imports_again(person))
        found.update(added=sample.added, refused=sample.refused * (1 + again), duplicate=sample.added * again)
    return found


def expected_imports(people: Sequence[Person]) -> int:
    """Return the number of imports of these people."""
    return len(people) + sum(map(imports_again, people))
