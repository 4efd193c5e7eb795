"""Personal data: what of each table is kept of a person, for the person to read.

A part is declared next to its table, in a module `personal_data` of the room that owns it, with its query next to it::

    declare(Part(table="categories", query=_QUERIES["categories"]))

A table that refers to a person and has no part fails a test, unless it is declared by `leave_out` with the reason.
"""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, kw_only=True)
class Part:
    """The rows of a table that are of a person: `query` finds them by `%(owner_id)s`.

    It leaves out secrets, such as the hash of a password, which are no data about the person.
    """

    table: str
    query: LiteralString


#: Every declared part by its table; filled by `moneyflow.personal_data`.
registry: dict[str, Part] = {}
#: Tables that refer to people and are in no export, each with the reason.
left_out: dict[str, str] = {}


def declare(part: Part) -> Part:
    """Declare a part and return it.

    Raises:
        ValueError: the table has another part.
    """
    if registry.setdefault(part.table, part) is not part:
        raise ValueError(f"table {part.table} has a part already; change that one")
    return part


def leave_out(table: str, *, reason: str) -> None:
    """Declare that a table which refers to people is in no export of their data."""
    left_out[table] = reason
