"""Importing: the rows of a statement become transactions, batch by batch, and none is written twice.

Each batch commits by itself: its transactions with their events, the keys of its entries, its refused rows, and
`rows_read`, from which the next attempt continues. The keys decide what is new. An attempt that was taken over finds
another `rows_read` than its own, and writes nothing.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import structlog
from typing_extensions import Buffer

from moneyflow.gateways.storage import Storage, files
from moneyflow.money import bulk, transactions
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Session
from moneyflow.platform.errors import FenceLostError, InvalidInputError, NotFoundError
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries
from moneyflow.statements.fingerprints import Fingerprints
from moneyflow.statements.imports import REFUSALS_KEPT
from moneyflow.statements.reading import statement
from moneyflow.statements.reading.encodings import refused_file
from moneyflow.statements.reading.mapping import plan_of
from moneyflow.statements.reading.rows import Entry, RefusedRow, Row

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Rows of a batch: it takes a fraction of a second.
ROWS_OF_A_BATCH = 1000
#: Rows of a file: what is kept in memory of each entry bounds them.
MOST_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What has come of the rows of an import so far."""

    read: int = 0
    added: int = 0
    duplicate: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class _Import:
    """An import whose rows are read."""

    id: UUID
    user_id: UUID
    file_id: UUID | None
    key: str | None
    size: int
    plan: dict[str, Any]
    counts: Counts


#: Gets what was counted so far, and how many of all bytes of the file were read.
Report = Callable[[Counts, int, int], object]


def read_on(
    session: Session,
    storage: Storage,
    import_id: UUID,
    *,
    report: Report,
    is_time_left: Callable[[], bool],
    limit: int = ROWS_OF_A_BATCH,
    most: int = MOST_ROWS,
) -> Counts | None:
    """Read on from where the import has come to; return what has come of all its rows, or None when no time is left.

    What is returned is written in the session's open transaction. An import that has ended, or whose account was
    deleted, is left as it is.

    Raises:
        FenceLostError: another attempt reads it.
        UnavailableError: the storage is down.
    """
    current = _find(session, import_id)
    if current is None:
        return Counts()
    try:
        return _read_on(session, storage, current, report=report, is_time_left=is_time_left, limit=limit, most=most)
    except InvalidInputError as error:
        return _end(session, import_id, error=error.detail)


def _read_on(
    session: Session,
    storage: Storage,
    current: _Import,
    *,
    report: Report,
    is_time_left: Callable[[], bool],
    limit: int,
    most: int,
) -> Counts | None:
    with _opened(storage, current) as content:
        file = _Counted(content)
        prints = Fingerprints(current.user_id)
        rows = statement.rows(io.BufferedReader(file), plan_of(current.plan))
        for row in islice(rows, current.counts.read):
            _key(prints, row)  # Equal entries are numbered from the first row on.
        while batch := [(row, _key(prints, row)) for row in islice(rows, limit)]:
            if current.counts.read + len(batch) > most:
                raise refused_file(f"has more than {most} rows; split it, and send the parts one by one")
            written = _write(session, current, batch)
            if written is None:
                return current.counts
            current = replace(current, counts=written)
            session.commit()
            report(written, file.position, current.size)
            if not is_time_left():
                return None
    return _end(session, current.id)


def _find(session: Session, import_id: UUID) -> _Import | None:
    """Return the import, unless it has ended or its account was deleted."""
    row = session.fetch_one(_QUERIES["unfinished"], {"id": import_id})
    session.commit()  # No transaction is open while rows are skipped.
    if row is None:
        return None
    counted = Counts(**{name: row.pop(f"rows_{name}") for name in ("read", "added", "duplicate", "refused")})
    return _Import(**row, counts=counted)


class _Counted(io.RawIOBase):
    """A file whose position is known, also where it comes from a bucket."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        piece = self._file.read(len(view))
        view[: len(piece)] = piece
        self.position += len(piece)
        return len(piece)


@contextmanager
def _opened(storage: Storage, current: _Import) -> Iterator[BinaryIO]:
    missing = refused_file("was deleted before it was read to its end; send it again, and what is added stays")
    if current.key is None:
        raise missing
    with ExitStack() as stack:
        try:
            file = stack.enter_context(storage.open(current.key))
        except NotFoundError:
            log.exception("upload_missing", import_id=str(current.id), key=current.key)
            raise missing from None
        yield file


def _key(prints: Fingerprints, row: Row) -> bytes | None:
    return prints.key(row) if isinstance(row, Entry) else None


def _write(session: Session, current: _Import, batch: Sequence[tuple[Row, bytes | None]]) -> Counts | None:
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


def _transaction(current: _Import, row: Entry, categories: Mapping[tuple[str, str], UUID]) -> Transaction:
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


def _refuse(session: Session, current: _Import, refused: Sequence[tuple[int, RefusedRow]]) -> None:
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


def _end(session: Session, import_id: UUID, *, error: str | None = None) -> Counts:
    """Write the end of the import, and delete the row of its file; return what has come of its rows."""
    outcome = "succeeded" if error is None else "failed"
    row = session.fetch_one(_QUERIES["end"], {"id": import_id, "outcome": outcome, "error": error})
    if row is None:
        return Counts()
    if row["file_id"] is not None:
        files.delete(session, row["file_id"])
    return Counts(**{name: row[f"rows_{name}"] for name in asdict(Counts())})
