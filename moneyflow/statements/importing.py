"""Importing: the rows of a statement become transactions, batch by batch (`batches.py`), and none is written twice.

Each batch commits by itself, and the next attempt continues from the last one.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog
from typing_extensions import Buffer

from moneyflow.gateways.storage import Storage, files
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.queries import load_queries
from moneyflow.statements import batches
from moneyflow.statements.batches import Counts, RunningImport
from moneyflow.statements.fingerprints import Fingerprints
from moneyflow.statements.reading import statement
from moneyflow.statements.reading.encodings import refused_file
from moneyflow.statements.reading.mapping import plan_of
from moneyflow.statements.reading.rows import Entry, Row

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Rows of a batch: it takes a fraction of a second.
ROWS_OF_A_BATCH = 1000
#: Rows of a file: what is kept in memory of each entry bounds them.
MOST_ROWS = 250_000


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
    current: RunningImport,
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
            written = batches.write(session, current, batch)
            if written is None:
                return current.counts
            current = replace(current, counts=written)
            session.commit()
            report(written, file.position, current.size)
            if not is_time_left():
                return None
    return _end(session, current.id)


def _find(session: Session, import_id: UUID) -> RunningImport | None:
    """Return the import, unless it has ended or its account was deleted."""
    row = session.fetch_one(_QUERIES["unfinished"], {"id": import_id})
    session.commit()  # No transaction is open while rows are skipped.
    if row is None:
        return None
    counted = Counts(**{name: row.pop(f"rows_{name}") for name in ("read", "added", "duplicate", "refused")})
    return RunningImport(**row, counts=counted)


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
def _opened(storage: Storage, current: RunningImport) -> Iterator[BinaryIO]:
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


def _end(session: Session, import_id: UUID, *, error: str | None = None) -> Counts:
    """Write the end of the import, and delete the row of its file; return what has come of its rows."""
    outcome = "succeeded" if error is None else "failed"
    row = session.fetch_one(_QUERIES["end"], {"id": import_id, "outcome": outcome, "error": error})
    if row is None:
        return Counts()
    if row["file_id"] is not None:
        files.delete(session, row["file_id"])
    return Counts(**{name: row[f"rows_{name}"] for name in asdict(Counts())})
