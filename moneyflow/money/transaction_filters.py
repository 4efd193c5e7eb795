"""Filters of a user's transactions: which of them a list has."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern

#: Characters of a text that is looked for.
LONGEST_TEXT = 100

#: The index of texts finds them by three letters or digits in a row.
_TRIGRAM = Pattern(r"[^\W_]{3}", longest=LONGEST_TEXT)
#: What `like` does not take for itself.
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\%_"})


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of a list; a transaction fits those that are not None.

    Amounts are compared as numbers, each in its own currency. `text` is a part of the note, in any case of its letters.
    A category stands for those below it, too.
    """

    since: dt.date | None = None
    until: dt.date | None = None
    category_id: UUID | None = None
    kind: Literal["income", "expense"] | None = None
    least: Decimal | None = None
    greatest: Decimal | None = None
    tag: str | None = None
    text: str | None = None

    def check(self) -> None:
        """Refuse ranges that end before they begin.

        Raises:
            InvalidInputError: one does; `errors` names its ends.
        """
        if self.since is not None and self.until is not None and self.since > self.until:
            raise _reversed("from", "to")
        if self.least is not None and self.greatest is not None and self.least > self.greatest:
            raise _reversed("min", "max")

    @property
    def has_amounts(self) -> bool:
        """Return whether the amount is bounded."""
        return self.least is not None or self.greatest is not None

    @property
    def has_indexed_text(self) -> bool:
        """Return whether the index of tags and texts finds the tag or the text."""
        return self.tag is not None or (self.text is not None and _is_indexed(self.text))

    @property
    def is_search(self) -> bool:
        """Return whether no index of all that fits has the list's order."""
        return self.has_amounts or self.tag is not None or self.text is not None

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the statements, but for dates and categories."""
        pattern = None if self.text is None else f"%{self.text.translate(_SPECIAL)}%"
        is_indexed = self.text is not None and _is_indexed(self.text)
        return {
            "kind": self.kind,
            "least": self.least,
            "greatest": self.greatest,
            "tag": self.tag,
            "pattern": pattern if is_indexed else None,
            "short_pattern": None if is_indexed else pattern,
        }


def _is_indexed(text: str) -> bool:
    return _TRIGRAM.search(text) is not None


def _reversed(first: str, last: str) -> InvalidInputError:
    problem = f"the query parameters {first} and {last} do not fit: {first} must not be above {last}"
    return InvalidInputError(problem, ((f"/{first}", f"must not be above {last}"),))
