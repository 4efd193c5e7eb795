"""A statement of any format: how it is to be read, and its rows."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from moneyflow.statements.reading import csv_rows, ofx
from moneyflow.statements.reading.encodings import check_text
from moneyflow.statements.reading.mapping import Given, OfxPlan, Plan
from moneyflow.statements.reading.planning import plan_csv
from moneyflow.statements.reading.rows import Row

#: Bytes of the beginning from which it is found out how a file is to be read.
HEAD_BYTES = 256 * 1024


def plan(head: bytes, given: Given, *, currency: str | None, is_utf8: bool) -> Plan:
    """Return how the file that begins with these bytes is read; `is_utf8` says whether all that is known of it is so.

    Raises:
        InvalidInputError: it is no statement, or more has to be given; `errors` names the file or what to give.
    """
    check_text(head)
    if ofx.is_ofx(head):
        return ofx.plan_ofx(head, currency=currency)
    return plan_csv(head, given, currency=currency, is_utf8=is_utf8)


def rows(file: BinaryIO, how: Plan) -> Iterator[Row]:
    """Yield the rows of a statement, entries and refused ones, in the order of the file.

    Raises:
        InvalidInputError: what follows the first bytes shows that the file is no statement.
    """
    return ofx.rows(file, how) if isinstance(how, OfxPlan) else csv_rows.rows(file, how)


def first_rows(file: BinaryIO, how: Plan, *, most: int) -> list[Row]:
    """Return the first rows; raises as `rows`."""
    return list(islice(rows(file, how), most))
