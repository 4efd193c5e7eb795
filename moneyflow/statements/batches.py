"""Batches: some rows of a statement become transactions in one commit.

It writes the transactions with their events, the keys of the entries, the refused rows, and `rows_read`. The keys
decide what is new. An attempt that was taken over finds another `rows_read` than its own, and writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.money import bulk, transactions
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Session
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries
from moneyflow.statements.imports import REFUSALS_KEPT
from moneyflow.statements.reading.rows import Entry, RefusedRow, Row

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What has come of the rows of an import so far."""

    read: int = 0
    added: int = 0
    duplicate: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class RunningImport:
    """An import whose rows are read."""

    id: UUID
    user_id: UUID
    file_id: UUID | None
    key: str | None
    size: int
    plan: dict[str, Any]
    counts: Counts


def write(session: Session, current: RunningImport, batch: Sequence[tuple[Row, bytes | None]]) -> Counts | None:
    """Write a batch; return the counts with it, or None when the account was deleted.

    Raises:
        FenceLostError: another attempt has written it.
    """
    # The account before the import, as its deletion locks them.
    if session.fetch_one(_QUERIES["lock_owner"], {"user_id": current.user_id}) is None:
        return None
    if session.fetch_one(_QUERIES["lock"], {"id": current.id, "rows_read": current.counts.read}) is None:
        raise FenceLostError(f"another attempt reads import {current.id}")
    entries: dict[bytes, Entry] = {}
    for row, key in batch:
        if isinstance(row, Entry) and key is not None:
            entries.setdefault(key, row)
    new = _new_keys(session, current.user_id, entries)
    scope = OwnerScope(session, current.user_id)
    categories = _categories(scope, entries)
    bulk.add(scope, [_transaction(current, row, categories) for key, row in entries.items() if key in new])
    refused = [(number, row) for number, (row, _) in enumerate(batch) if isinstance(row, RefusedRow)]
    _refuse(session, current, refused)
    counted = Counts(
        read=len(batch), added=len(new), refused=len(refused), duplicate=len(batch) - len(new) - len(refused)
    )
    session.execute(_QUERIES["count"], {"id": current.id, **asdict(counted)})
    return _sum(current.counts, counted)


def _new_keys(session: Session, user_id: UUID, entries: Mapping[bytes, Entry]) -> set[bytes]:
    """Keep the keys, and return those that are new. In their order: two imports of one person wait in no circle."""
    parameters = {"user_id": user_id, "keys": sorted(entries)}
    return {bytes(row["key"]) for row in session.fetch_all(_QUERIES["keep_keys"], parameters)}


def _categories(scope: OwnerScope, entries: Mapping[bytes, Entry]) -> Mapping[tuple[str, str], UUID]:
    """Return the owner's categories by kind and name, when entries name some; they stay until the batch commits."""
    if not any(one.category for one in entries.values()):
        return {}
    rows = scope.rows(_QUERIES["lock_categories"], {})
    return {(row["kind"], row["name"].casefold()): row["id"] for row in rows}


def _transaction(current: RunningImport, row: Entry, categories: Mapping[tuple[str, str], UUID]) -> Transaction:
    return transactions.of_amount(
        current.user_id,
        kind=row.kind,
        amount=row.amount,
        currency=row.currency,
        date=row.date,
        category_id=categories.get((row.kind, row.category.casefold())) if row.category else None,
        note=row.note,
        import_id=current.id,
    )


def _refuse(session: Session, current: RunningImport, refused: Sequence[tuple[int, RefusedRow]]) -> None:
    """Keep the refused rows, of all of the import no more than are shown."""
    kept = refused[: max(REFUSALS_KEPT - current.counts.refused, 0)]
    if kept:
        parameters = {
            "id": current.id,
            "rows": [current.counts.read + number + 1 for number, _ in kept],
            "lines": [row.line for _, row in kept],
            "reasons": [row.reason for _, row in kept],
        }
        session.execute(_QUERIES["refuse"], parameters)


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(**{name: count + getattr(other, name) for name, count in asdict(one).items()})
