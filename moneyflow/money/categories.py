"""Categories of transactions: add, read and change; each change commits with its event.

A category is at the top, or a subcategory of one at the top of the same kind. Its kind stays: transactions refer to it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.events.category import CategoryCreated, CategoryDeleted, CategoryState, CategoryUpdated
from moneyflow.money import writing
from moneyflow.money.constraints import checked
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events.emit import FRAGMENTS as EVENT_FRAGMENTS
from moneyflow.platform.events.emit import emit
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.http.idempotency import FRAGMENTS, IdempotentRequest
from moneyflow.platform.http.pages import Keyset, Page
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=(FRAGMENTS, EVENT_FRAGMENTS))

Kind = Literal["income", "expense"]

BY_ID = Keyset(name="categories", columns={"id": UUID})

#: What a user may change, in the order in which events name it.
_CHANGEABLE = ("name", "parent_id", "color")


@dataclass(frozen=True, kw_only=True)
class Category:
    """A category of a user's transactions of one kind; `version` counts the changes."""

    id: UUID
    user_id: UUID
    kind: Kind
    name: str
    #: None at the top.
    parent_id: UUID | None
    #: Of the form #rrggbb.
    color: str | None
    version: int
    created_at: dt.datetime
    updated_at: dt.datetime

    def state(self) -> dict[str, Any]:
        """Return what events carry of it: no free text."""
        return {"kind": self.kind, "parent_id": self.parent_id, "color": self.color}

    def parameters(self) -> dict[str, Any]:
        """Return its fields as parameters of a statement."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def make(user_id: UUID, *, kind: Kind, name: str, parent_id: UUID | None = None, color: str | None = None) -> Category:
    """Return a new category, which is not stored yet."""
    now = clock.now()
    return Category(
        id=new_id(),
        user_id=user_id,
        kind=kind,
        name=name,
        parent_id=parent_id,
        color=color,
        version=1,
        created_at=now,
        updated_at=now,
    )


def create(session: Session, made: Category, *, once: IdempotentRequest, answer: Answer) -> Answer:
    """Store a category with its event and the answer to the request, in one statement; return the first answer.

    Raises:
        InvalidInputError: its parent is none of this user and kind at the top; or the key was used with another body.
        InProgressError: another request with this key is running.
        NotFoundError: the account was deleted.
    """
    event = CategoryCreated(sequence=1, user_id=made.user_id, category_id=made.id, **made.state())
    return writing.create(session, _QUERIES["create"], made.parameters(), event, once=once, answer=answer)


def find(scope: OwnerScope, category_id: UUID) -> Category:
    """Return a category of the owner.

    Raises:
        NotFoundError: there is none of this owner.
    """
    return Category(**scope.row(_QUERIES["find"], category_id, what="category"))


def with_children(scope: OwnerScope, category_id: UUID) -> Sequence[DictRow]:
    """Return id and kind of a category that a query names, and of those below it.

    Raises:
        InvalidInputError: the owner has no such category.
    """
    rows = scope.rows(_QUERIES["with_children"], {"category_id": category_id})
    if not rows:
        problem = "must be the id of a category of yours; GET /v1/categories lists them"
        raise InvalidInputError("the query parameter category does not fit", (("/category", problem),))
    return rows


def page_rows(scope: OwnerScope, page: Page) -> Sequence[DictRow]:
    """Return the rows of a page of the owner's categories, and one more when another page follows."""
    return scope.rows(_QUERIES["page"], page.parameters())


def of_row(row: Mapping[str, Any]) -> Category:
    """Return the category of a row that has all its columns."""
    return Category(**row)


def lock(scope: OwnerScope, category_id: UUID, *, also: UUID | None = None) -> Category:
    """Return a category, which no one else changes or refers to until the transaction ends; raises as `find`.

    `also` is another one to lock, such as its new parent. Changes of one owner's categories wait for each other: by
    locks of categories alone, a move would wait for its subcategories in another order than they are moved in.
    """
    scope.rows(_QUERIES["lock_owner"], {})
    scope.rows(_QUERIES["lock"], {"ids": [category_id, also]})
    return find(scope, category_id)


def change(session: Session, current: Category, values: Mapping[str, Any]) -> Category:
    """Store other values of a category that the caller has locked, with the event; return it.

    Raises:
        InvalidInputError: its parent is none of this user and kind at the top, or it has subcategories itself.
    """
    new = replace(current, **values)
    names = tuple(name for name in _CHANGEABLE if getattr(current, name) != getattr(new, name))
    if not names:
        return current
    new = replace(new, version=current.version + 1, updated_at=clock.now())
    with checked():
        session.execute(_QUERIES["change"], new.parameters())
    event = CategoryUpdated(
        sequence=new.version,
        user_id=new.user_id,
        category_id=new.id,
        before=CategoryState(**current.state()),
        after=CategoryState(**new.state()),
        changed=names,
    )
    emit(session, event)
    return new


def deleted(gone: Category) -> CategoryDeleted:
    """Return the event of the deletion of a category, as it was before."""
    return CategoryDeleted(sequence=gone.version + 1, user_id=gone.user_id, category_id=gone.id, **gone.state())
