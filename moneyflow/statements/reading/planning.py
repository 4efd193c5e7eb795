"""Planning: how a CSV file is to be read, found from its first rows and from what the sender has given."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import get_args

from moneyflow.money.currencies import DECIMALS
from moneyflow.platform.errors import InvalidInputError
from moneyflow.statements.reading import amounts, csv_rows, dates
from moneyflow.statements.reading.columns import find_columns, find_header
from moneyflow.statements.reading.encodings import codec_of, find_encoding
from moneyflow.statements.reading.headers import currency_of
from moneyflow.statements.reading.mapping import Columns, CsvPlan, Delimiter, Given
from moneyflow.statements.reading.records import Record, read_records
from moneyflow.statements.reading.rows import Entry

#: Rows from which the plan is found.
_ROWS = 300


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """What one delimiter makes of the first rows: a plan and how many of them it reads, or why there is no plan."""

    outcome: CsvPlan | InvalidInputError
    entries: int
    #: Rows with a date, and fields of all rows.
    dated: int
    fields: int


def plan_csv(head: bytes, given: Given, *, currency: str | None, is_utf8: bool) -> CsvPlan:
    """Return the plan of a CSV file that begins with these bytes, the one that reads most of its rows.

    Raises:
        InvalidInputError: what has to be known is not found, or can be read in two ways; `errors` names what to give.
    """
    encoding = codec_of(given.encoding) if given.encoding else find_encoding(head, is_utf8=is_utf8)
    delimiters = [given.delimiter] if given.delimiter else get_args(Delimiter)
    attempts = [_attempt(head, given, encoding=encoding, delimiter=one, currency=currency) for one in delimiters]
    # Where none reads a row, the delimiter that makes columns of them is the one whose problem is to be named.
    best = max(attempts, key=lambda one: (one.entries, one.dated, one.fields))
    if isinstance(best.outcome, InvalidInputError):
        raise best.outcome
    return best.outcome


def _attempt(head: bytes, given: Given, *, encoding: str, delimiter: Delimiter, currency: str | None) -> _Attempt:
    rows = _first_rows(head, encoding=encoding, delimiter=delimiter, quote=given.quote or '"')
    dated = sum(any(map(dates.is_date, row.fields)) for row in rows)
    fields = sum(len(row.fields) for row in rows)
    try:
        plan = _plan(rows, given, encoding=encoding, delimiter=delimiter, currency=currency)
    except InvalidInputError as error:
        return _Attempt(outcome=error, entries=0, dated=dated, fields=fields)
    read = [csv_rows.read_row(plan, row) for row in rows if row.line > plan.header_line]
    entries = sum(isinstance(one, Entry) for one in read)
    return _Attempt(outcome=plan, entries=entries, dated=dated, fields=fields)


def _first_rows(head: bytes, *, encoding: str, delimiter: Delimiter, quote: str) -> list[Record]:
    found = list(islice(read_records(io.BytesIO(head), encoding=encoding, delimiter=delimiter, quote=quote), _ROWS))
    rows = [row for row in found if isinstance(row, Record)]
    # The last one may be cut off.
    is_cut = len(rows) > 2 and rows[-1] is found[-1] and not head.endswith((b"\n", b"\r", b"\n\0", b"\r\0"))  # noqa: PLR2004
    return rows[:-1] if is_cut else rows


def _plan(
    rows: Sequence[Record], given: Given, *, encoding: str, delimiter: Delimiter, currency: str | None
) -> CsvPlan:
    header = find_header(rows, given)
    below = [row for row in rows if header is None or row.line > header.line]
    columns = find_columns(header, below, given)
    # Rows above and below the table, such as the sum, have no date.
    table = [row for row in below if dates.is_date(_field(row, columns.date))] or below
    known = currency or _named_currency(header, columns)
    texts = [text for row in table for text in _amount_texts(row, columns)]
    plan = CsvPlan(
        encoding=encoding,
        delimiter=delimiter,
        quote=given.quote or '"',
        header_line=header.line if header else _line_before(table, given),
        columns=columns,
        date_format=given.date_format or dates.find_order(_field(row, columns.date) for row in table),
        decimal=given.decimal or amounts.find_mark(texts, currency=known or _first_currency(table, columns)),
        sign=given.sign or "positive_is_income",
        currency=known,
        account=given.account or "",
    )
    _check_currency(plan, table)
    return plan


def _line_before(table: Sequence[Record], given: Given) -> int:
    """Return the last line of what is above the first row with a date: a header whose names no one knows."""
    return 0 if given.has_header is False or not table else table[0].line - 1


def _field(row: Record, column: int | None) -> str:
    return row.fields[column] if column is not None and column < len(row.fields) else ""


def _amount_texts(row: Record, columns: Columns) -> list[str]:
    places = (columns.amount, columns.debit, columns.credit)
    return [text for place in places if (text := _field(row, place).strip())]


def _named_currency(header: Record | None, columns: Columns) -> str | None:
    """Return the currency that the header of the amounts names."""
    for place in (columns.amount, columns.debit, columns.credit):
        if header is not None and (named := currency_of(_field(header, place))):
            return named
    return None


def _first_currency(rows: Sequence[Record], columns: Columns) -> str | None:
    """Return the currency of the first row that names one: it decides where the decimals begin."""
    return next((code for row in rows if (code := _field(row, columns.currency).strip().upper()) in DECIMALS), None)


def _check_currency(plan: CsvPlan, rows: Sequence[Record]) -> None:
    """Refuse a file of which no row would have a currency."""
    if plan.currency is not None or plan.columns.currency is not None or not rows:
        return
    if any(amounts.currency_in(text) for row in rows for text in _amount_texts(row, plan.columns)):
        return
    problem = "must be given, as no column of the file names one, such as EUR"
    raise InvalidInputError(f"currency {problem}", (("/currency", problem),))
