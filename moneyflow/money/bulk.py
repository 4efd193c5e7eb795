"""Bulk: many transactions are added, put into other categories and deleted in one transaction, all or none of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.money import transactions
from moneyflow.money.amounts import write_amount
from moneyflow.money.constraints import checked, no_category
from moneyflow.money.transactions import Transaction
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events.emit import emit_many
from moneyflow.platform.json_text import dumps
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Acts of one request at most.
MOST_ACTS = 500
#: Problems that an error names.
_MOST_PROBLEMS = 20

Problem = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Move:
    """A transaction and the category that it is put into; None for none."""

    id: UUID
    category_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class Acts:
    """What is done together; each transaction is named once."""

    create: Sequence[Transaction] = field(default=())
    change_category: Sequence[Move] = field(default=())
    delete: Sequence[UUID] = field(default=())

    def named(self) -> Iterator[tuple[str, UUID]]:
        """Yield the pointer and the id of each transaction that there must be."""
        yield from ((f"/change_category/{number}/id", move.id) for number, move in enumerate(self.change_category))
        yield from ((f"/delete/{number}", one) for number, one in enumerate(self.delete))


def act(scope: OwnerScope, acts: Acts) -> None:
    """Do all acts with their events.

    Raises:
        InvalidInputError: at least one cannot be done; `errors` names each by its pointer, and nothing is written.
        NotFoundError: the account was deleted.
    """
    refuse(list(_repeated(acts)))
    # Categories before transactions, as a deletion of a category locks them: neither waits for the other in a circle.
    kinds = _kinds(scope, acts)
    found = {one.id: one for one in _locked(scope, [named for _, named in acts.named()])}
    refuse([*_missing(acts, found), *_unfit(acts, found, kinds)])
    add(scope, acts.create)
    _change(scope, [(found[move.id], move.category_id) for move in acts.change_category])
    _delete(scope, [found[one] for one in acts.delete])


def refuse(problems: Sequence[Problem]) -> None:
    """Refuse all acts when there are problems of some.

    Raises:
        InvalidInputError: there are; `errors` names the first of them by pointer.
    """
    if problems:
        more = f", the first {_MOST_PROBLEMS} of {len(problems)}" if len(problems) > _MOST_PROBLEMS else ""
        raise InvalidInputError(
            f"nothing was done; correct the members in `errors`{more}", tuple(problems[:_MOST_PROBLEMS])
        )


def _repeated(acts: Acts) -> Iterator[Problem]:
    seen: set[UUID] = set()
    for pointer, named in acts.named():
        if named in seen:
            yield pointer, "names a transaction that another act names too"
        seen.add(named)


def _kinds(scope: OwnerScope, acts: Acts) -> Mapping[UUID, str]:
    """Return the kinds of the categories that acts name, which stay until the transaction ends."""
    named = {made.category_id for made in acts.create} | {move.category_id for move in acts.change_category}
    named.discard(None)
    rows = scope.rows(_QUERIES["lock_categories"], {"ids": list(named)}) if named else []
    return {row["id"]: row["kind"] for row in rows}


def _locked(scope: OwnerScope, ids: Sequence[UUID]) -> Iterator[Transaction]:
    rows = scope.rows(_QUERIES["lock_transactions"], {"ids": ids}) if ids else []
    yield from map(transactions.of_row, rows)


def _missing(acts: Acts, found: Mapping[UUID, Transaction]) -> Iterator[Problem]:
    for pointer, named in acts.named():
        if named not in found:
            yield pointer, "must be the id of a transaction of yours that is not deleted"
    for number, one in enumerate(acts.delete):
        if one in found and found[one].payment_id is not None:
            yield f"/delete/{number}", "is the transaction of a payment and stays; refund the payment instead"


def _unfit(acts: Acts, found: Mapping[UUID, Transaction], kinds: Mapping[UUID, str]) -> Iterator[Problem]:
    """Yield the categories that there are not, or that are of another kind than the transaction."""
    for number, made in enumerate(acts.create):
        if made.category_id is not None and kinds.get(made.category_id) != made.kind:
            yield no_category(f"/create/{number}/category_id")
    for number, move in enumerate(acts.change_category):
        if move.id in found and move.category_id is not None and kinds.get(move.category_id) != found[move.id].kind:
            yield no_category(f"/change_category/{number}/category_id")


def add(scope: OwnerScope, made: Sequence[Transaction]) -> None:
    """Store transactions with their events; the categories that they name are locked.

    Raises:
        NotFoundError: the account was deleted.
    """
    if made:
        with checked():
            scope.execute(_QUERIES["create"], {"transactions": dumps([_document(one) for one in made]).decode()})
        emit_many(scope.session, [transactions.created(one) for one in made])


def _document(made: Transaction) -> dict[str, Any]:
    # PERF: ids, days and times are written by the JSON library.
    return {
        "id": made.id,
        "kind": made.kind,
        "amount": write_amount(made.amount),
        "currency": made.currency,
        "date": made.date,
        "category_id": made.category_id,
        "note": made.note,
        "tags": made.tags,
        "payment_id": made.payment_id,
        "import_id": made.import_id,
        "created_at": made.created_at,
    }


def _change(scope: OwnerScope, moves: Sequence[tuple[Transaction, UUID | None]]) -> None:
    real = [(before, category_id) for before, category_id in moves if before.category_id != category_id]
    if not real:
        return
    after = [replace(before, category_id=category_id, version=before.version + 1) for before, category_id in real]
    parameters = {"ids": [one.id for one in after], "categories": [one.category_id for one in after]}
    scope.execute(_QUERIES["change_category"], parameters)
    pairs = zip((before for before, _ in real), after, strict=True)
    emit_many(scope.session, [transactions.updated(before, one, ("category_id",)) for before, one in pairs])


def _delete(scope: OwnerScope, gone: Sequence[Transaction]) -> None:
    if gone:
        scope.execute(_QUERIES["delete"], {"ids": [one.id for one in gone]})
        emit_many(scope.session, [transactions.deleted(replace(one, version=one.version + 1)) for one in gone])
