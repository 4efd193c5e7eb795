"""Deletion of a category: its transactions move to another one or have none then, and its subcategories go with it.

It is done in parts. Each has a bounded number of rows, and commits with the events of all of them. A request does the
first part, which nearly always is all; a job does the others. Until the last part the category is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from moneyflow.events.transaction import TransactionUpdated
from moneyflow.jobs.delete_category import DeleteCategory
from moneyflow.money import categories, transactions
from moneyflow.money.categories import Category
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.events.emit import emit_many
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Transactions of one part, and its subcategories: it takes a fraction of a second.
ROWS_OF_A_PART = 500


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part did: how many transactions left the category, and whether the category is deleted now."""

    moved: int
    is_last: bool


def delete(scope: OwnerScope, category: Category, *, move_to: UUID | None) -> UUID | None:
    """Delete a category that the caller has locked together with `move_to`; return the job that does the rest, if any.

    Raises:
        InvalidInputError: `move_to` is none of this user and kind, or goes with the category.
    """
    if delete_part(scope, category, move_to=move_to).is_last:
        return None
    return enqueue(scope.session, DeleteCategory(user_id=category.user_id, category_id=category.id, move_to=move_to))


def finish(
    session: Session,
    job: DeleteCategory,
    *,
    report: Callable[[int], object],
    is_time_left: Callable[[], bool],
    limit: int = ROWS_OF_A_PART,
) -> bool:
    """Do the parts that are left, each in a transaction of its own; return whether the category is deleted.

    `report` gets the number of transactions so far after each part. It ends when no time is left.

    Raises:
        InvalidInputError: `move_to` is deleted, or goes with the category; what is left stays in the category.
    """
    scope, moved = OwnerScope(session, job.user_id), 0
    while is_time_left():
        part = _next_part(scope, job, limit=limit)
        moved += part.moved
        session.commit()
        report(moved)
        if part.is_last:
            return True
    return False


def _next_part(scope: OwnerScope, job: DeleteCategory, *, limit: int) -> Part:
    try:
        category = categories.lock(scope, job.category_id, also=job.move_to)
    except NotFoundError:  # Another request has deleted it, or the account is deleted.
        return Part(moved=0, is_last=True)
    return delete_part(scope, category, move_to=job.move_to, limit=limit)


def delete_part(scope: OwnerScope, category: Category, *, move_to: UUID | None, limit: int = ROWS_OF_A_PART) -> Part:
    """Do a part of the deletion of a category that is locked together with `move_to`; raises as `delete`."""
    rows = scope.rows(_QUERIES["lock_children"], {"parent_id": category.id, "limit": limit})
    children = [Category(**row) for row in rows]
    _check_target(scope, category, move_to)
    ids = [category.id, *(child.id for child in children)]
    moved = _move(scope, ids, move_to, limit=limit)
    if scope.rows(_QUERIES["has_transactions"], {"categories": ids}):
        return Part(moved=moved, is_last=False)
    is_last = len(children) < limit
    _delete(scope, [*children, category] if is_last else children)
    return Part(moved=moved, is_last=is_last)


def _check_target(scope: OwnerScope, category: Category, move_to: UUID | None) -> None:
    if move_to is None:
        return
    rows = scope.rows(_QUERIES["target"], {"id": move_to, "category_id": category.id, "kind": category.kind})
    if not rows:
        problem = "must be the id of another category of yours, of the same kind, that does not go with this one"
        raise InvalidInputError(f"move_to {problem}", (("/move_to", problem),))


def _move(scope: OwnerScope, leaving: Sequence[UUID], move_to: UUID | None, *, limit: int) -> int:
    """Move transactions; return how many. One that is deleted and not purged yet moves without an event."""
    rows = scope.rows(_QUERIES["lock_transactions"], {"categories": leaving, "limit": limit})
    moves = {"ids": [row["id"] for row in rows], "category_id": move_to}
    scope.execute(_QUERIES["move"], moves)
    live = [transactions.of_row(row) for row in rows if not row.pop("is_deleted")]
    emit_many(scope.session, [_moved(before, move_to) for before in live])
    return len(rows)


def _moved(before: Transaction, move_to: UUID | None) -> TransactionUpdated:
    after = replace(before, category_id=move_to, version=before.version + 1)
    return transactions.updated(before, after, ("category_id",))


def _delete(scope: OwnerScope, leaving: Sequence[Category]) -> None:
    scope.execute(_QUERIES["delete"], {"ids": [one.id for one in leaving]})
    emit_many(scope.session, [categories.deleted(one) for one in leaving])
