"""Exports: ask for one, and read how it is. The jobs do the rest."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from moneyflow.jobs.export_data import ExportData
from moneyflow.jobs.export_statement import ExportStatement
from moneyflow.platform.errors import InvalidInputError, MoneyFlowError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

StatementFormat = Literal["csv", "pdf"]
Format = Literal["csv", "pdf", "zip"]

#: How long a file can be downloaded.
FILE_KEPT = dt.timedelta(days=7)
#: How long an export without a file is kept: as long as a failed job, which an operator may replay.
REQUEST_KEPT = dt.timedelta(days=30)
#: Transactions of a PDF: about 300 pages, and less than a minute of a worker.
MOST_PDF_ROWS = 10_000

SUFFIXES: Mapping[Format, str] = {"csv": ".csv", "pdf": ".pdf", "zip": ".zip"}
CONTENT_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
    "zip": "application/zip",
}


#: Why an export as PDF is refused.
TOO_LONG = (
    f"the period has more than {MOST_PDF_ROWS:,} transactions, which are too many for a PDF; export it as csv, or in "
    "shorter periods"
)


class ExportRefusedError(MoneyFlowError):
    """The export cannot be made; `detail` says why, for its owner."""

    title = "Export refused"


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days of a statement, the first and the last with it."""

    first: dt.date
    last: dt.date


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export as its owner sees it: no `period` of all data, and no `file_id` until it is ready."""

    id: UUID
    user_id: UUID
    format: Format
    period: Period | None
    state: Literal["pending", "ready", "failed"]
    job_id: UUID
    file_id: UUID | None
    created_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class PendingExport:
    """An export without a file, as the job that makes it needs it."""

    id: UUID
    user_id: UUID
    user_name: str
    format: Format
    period: Period | None
    created_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Requested:
    """An export that was asked for, and the job that makes it."""

    id: UUID
    job_id: UUID


def request_statement(scope: OwnerScope, period: Period, *, format: StatementFormat) -> Requested:
    """Insert an export of a period with the job that writes it.

    Raises:
        InvalidInputError: the period ends before it begins, or has too many transactions for a PDF.
    """
    if period.first > period.last:
        raise _invalid("/to", "must not be before from")
    if format == "pdf" and _is_too_long(scope, period):
        raise _invalid("/format", TOO_LONG)
    assert scope.owner_id is not None, "the caller is signed in"
    export_id = new_id()
    job_id = enqueue(scope.session, ExportStatement(user_id=scope.owner_id, export_id=export_id))
    return _insert(scope, export_id, job_id, format, period)


def request_data(scope: OwnerScope) -> Requested:
    """Insert an export of all that is kept of the caller, with the job that writes it."""
    assert scope.owner_id is not None, "the caller is signed in"
    export_id = new_id()
    job_id = enqueue(scope.session, ExportData(user_id=scope.owner_id, export_id=export_id))
    return _insert(scope, export_id, job_id, "zip", None)


def read(scope: OwnerScope, export_id: UUID) -> Export:
    """Return an export.

    Raises:
        NotFoundError: the owner has no such export, or it has expired.
    """
    row = scope.row(_QUERIES["export"], export_id, what="export")
    first, last = row.pop("first_day"), row.pop("last_day")
    return Export(**row, period=Period(first=first, last=last) if first else None)


def _insert(scope: OwnerScope, export_id: UUID, job_id: UUID, format: Format, period: Period | None) -> Requested:
    row = {"id": export_id, "job_id": job_id, "format": format, "kept": REQUEST_KEPT}
    days = {"first_day": period.first if period else None, "last_day": period.last if period else None}
    scope.execute(_QUERIES["insert"], row | days)
    return Requested(id=export_id, job_id=job_id)


def _is_too_long(scope: OwnerScope, period: Period) -> bool:
    parameters = {"first_day": period.first, "last_day": period.last, "limit": MOST_PDF_ROWS + 1}
    return len(scope.rows(_QUERIES["some_entries"], parameters)) > MOST_PDF_ROWS


def _invalid(pointer: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"the export does not fit: {problem}", ((pointer, problem),))
