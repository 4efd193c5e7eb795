"""Owner scope: statements that see the rows of one user only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError

_PARAMETER = "%(owner_id)s"


@dataclass(frozen=True)
class OwnerScope:
    """A session that gives `%(owner_id)s` to every statement, and refuses a statement that does not use it.

    Without an owner, as for a caller who is not signed in, no row is owned. `sees_all` is true for administrators; it
    counts in the statements that name `%(sees_all)s`, such as those of jobs, and in no other.
    """

    session: Session
    owner_id: UUID | None
    sees_all: bool = False

    def row(self, query: LiteralString, row_id: UUID, *, what: str) -> DictRow:
        """Return the row that the statement finds by `%(id)s`.

        Raises:
            NotFoundError: there is none of this owner. SECURITY: a row of another person is answered like a missing
                one, so that a client cannot probe for ids.
        """
        found = self.session.fetch_one(_scoped(query), self._with_owner({"id": row_id}))
        if found is None:
            raise NotFoundError(f"there is no {what} {row_id}")
        return found

    def rows(
        self, query: LiteralString, parameters: Mapping[str, Any], *, settings: Mapping[str, str] | None = None
    ) -> list[DictRow]:
        """Return the statement's rows; `settings` as for a session."""
        return self.session.fetch_all(_scoped(query), self._with_owner(parameters), settings=settings)

    def execute(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run a statement and return how many rows it wrote."""
        return self.session.execute(_scoped(query), self._with_owner(parameters)).rowcount

    def _with_owner(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {**parameters, "owner_id": self.owner_id, "sees_all": self.sees_all}


def _scoped(query: LiteralString) -> LiteralString:
    if _PARAMETER not in query:
        raise ValueError(f"the statement does not use {_PARAMETER}, so it would reach the rows of everybody: {query}")
    return query
