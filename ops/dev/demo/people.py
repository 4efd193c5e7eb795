"""People who sign up: `people.csv`, with names and addresses in many scripts, and some rows wrong on purpose."""

import csv
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True, kw_only=True)
class Person:
    """A row of the file; `expected` is accepted, refused, or `bounces` for an address that the mail server refuses."""

    number: int
    name: str
    email: str
    expected: str

    def is_accepted(self) -> bool:
        """Return whether the API should accept the sign-up."""
        return self.expected != "refused"


def read_people(tag: str) -> list[Person]:
    """Read the file; each address gets `+tag`, so that every play has new people."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return [
            Person(number=number, name=row["name"], email=_tagged(row["email"], tag), expected=row["expected"])
            for number, row in enumerate(csv.DictReader(file), start=1)
        ]


def _tagged(email: str, tag: str) -> str:
    local, at, domain = email.rpartition("@")
    return f"{local}+{tag}{at}{domain}" if at else email
