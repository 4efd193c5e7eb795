"""Rows of a CSV file, by its plan."""

from collections.abc import Iterator
from typing import BinaryIO

from moneyflow.statements.reading.amounts import currency_in, read_number
from moneyflow.statements.reading.columns import IN, OUT
from moneyflow.statements.reading.dates import read_date
from moneyflow.statements.reading.mapping import CsvPlan
from moneyflow.statements.reading.records import Record, read_records
from moneyflow.statements.reading.rows import Entry, RefusedRow, Row, RowError, entry, shown


def rows(file: BinaryIO, plan: CsvPlan) -> Iterator[Row]:
    """Yield the rows below the header, in the order of the file."""
    for record in read_records(file, encoding=plan.encoding, delimiter=plan.delimiter, quote=plan.quote):
        if record.line > plan.header_line:
            yield read_row(plan, record) if isinstance(record, Record) else record


def read_row(plan: CsvPlan, record: Record) -> Row:
    """Return the entry of a record, or why it is none."""
    try:
        return _entry(plan, record)
    except RowError as error:
        return RefusedRow(line=record.line, reason=str(error))


def _entry(plan: CsvPlan, record: Record) -> Entry:
    fields, columns = record.fields, plan.columns
    text, is_expense = _amount_text(plan, fields)
    currency = _currency(plan, fields, text)
    signed = read_number(text, mark=plan.decimal, currency=currency)
    if is_expense is None:
        is_reversed = plan.sign == "positive_is_expense"
    else:  # A minus in a column of debits is a correction, unless all of them have one.
        signed, is_reversed = signed.removeprefix("-"), is_expense
    if is_reversed:
        signed = signed[1:] if signed.startswith("-") else f"-{signed}"
    return entry(
        line=record.line,
        date=read_date(_field(fields, columns.date, "date"), plan.date_format),
        signed=signed,
        currency=currency,
        notes=[fields[place] for place in columns.note if place < len(fields)],
        category=_optional(fields, columns.category),
        account=_optional(fields, columns.account) or plan.account,
    )


def _amount_text(plan: CsvPlan, fields: list[str]) -> tuple[str, bool | None]:
    """Return the amount as it is written, and whether its column says that it is an expense."""
    columns = plan.columns
    if columns.amount is not None:
        text = _field(fields, columns.amount, "amount")
        return text, _direction(_optional(fields, columns.direction)) if columns.direction is not None else None
    debit, credit = _optional(fields, columns.debit).strip(), _optional(fields, columns.credit).strip()
    if debit and credit:  # Some banks write zero into the other column.
        debit, credit = ("" if _is_zero(one) else one for one in (debit, credit))
    if bool(debit) == bool(credit):
        raise RowError("the row has no amount" if not debit else "the row has both a debit and a credit")
    return (debit, True) if debit else (credit, False)


def _direction(text: str) -> bool | None:
    bare = text.strip().casefold()
    if bare in OUT:
        return True
    if bare in IN:
        return False
    raise RowError(f"the column of debit or credit has {shown(text)}")


def _is_zero(text: str) -> bool:
    return not any(one in "123456789" for one in text)


def _currency(plan: CsvPlan, fields: list[str], amount: str) -> str:
    named = _optional(fields, plan.columns.currency).strip().upper()
    found = named or currency_in(amount) or plan.currency
    if found is None:
        raise RowError("the row names no currency; give the form's `currency` for such rows")
    return found


def _field(fields: list[str], place: int, what: str) -> str:
    if place >= len(fields):
        raise RowError(f"the row has {len(fields)} columns, and the {what} is in column {place + 1}")
    text = fields[place]
    if not text.strip():
        raise RowError(f"the row has no {what}")
    return text


def _optional(fields: list[str], place: int | None) -> str:
    return fields[place] if place is not None and place < len(fields) else ""
