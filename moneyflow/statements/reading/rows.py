"""Rows of a statement: an entry, or why a row is none."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from unicodedata import normalize

from moneyflow.money.amounts import read_amount
from moneyflow.money.days import FIRST_DAY, LAST_DAY
from moneyflow.money.texts import LONGEST_NOTE
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern

#: Characters of a value that a reason repeats.
_LONGEST_SHOWN = 40
#: Characters of a text that are read.
_LONGEST_TEXT = 64 * 1024
#: What a note of ours may not have, and all white space: a note is one line.
_BLANKS = Pattern(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", longest=_LONGEST_TEXT)

Kind = Literal["income", "expense"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of a statement that can become a transaction."""

    #: The line of the file on which it begins, from 1.
    line: int
    date: dt.date
    kind: Kind
    #: Above zero, with the decimals of the currency.
    amount: Decimal
    currency: str
    note: str
    #: The name of a category, as the file has it.
    category: str = ""
    #: The account, where the file names it.
    account: str = ""
    #: The bank's own id of the entry, unique in its account; empty where the file has none.
    bank_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedRow:
    """A row that is no entry."""

    line: int
    #: What is wrong with it, for the person who sent the file.
    reason: str


Row = Entry | RefusedRow


class RowError(Exception):
    """A row is no entry; the text is the reason."""


def entry(
    *,
    line: int,
    date: dt.date,
    signed: str,
    currency: str,
    notes: list[str],
    category: str = "",
    account: str = "",
    bank_id: str = "",
) -> Entry:
    """Return the entry of an amount as text: below zero it is an expense.

    Raises:
        RowError: the amount is none of the currency, or the day is of another century.
    """
    if not FIRST_DAY <= date <= LAST_DAY:
        raise RowError(f"the date {date} is not between {FIRST_DAY} and {LAST_DAY}")
    is_expense = signed.startswith("-")
    text = signed[1:] if is_expense else signed
    if not text.strip("0."):
        raise RowError("the amount is zero, which is no transaction")
    try:
        amount = read_amount(_without_zeros(text), currency)
    except InvalidInputError as error:
        (pointer, problem), *_ = error.errors
        wrong = currency if pointer == "/currency" else signed
        raise RowError(f"the {pointer[1:]} {shown(wrong)} {problem}") from None
    return Entry(
        line=line,
        date=date,
        kind="expense" if is_expense else "income",
        amount=amount,
        currency=currency,
        note=note_of(notes),
        category=one_line(category),
        account=one_line(account),
        bank_id=bank_id,
    )


def note_of(parts: list[str]) -> str:
    """Return the parts as one note of at most the characters that a note may have, each part once."""
    return " \N{EN DASH} ".join(dict.fromkeys(filter(None, map(one_line, parts))))[:LONGEST_NOTE].rstrip()


def one_line(text: str) -> str:
    """Return a text in one line, composed as people see it, without control characters."""
    return _BLANKS.sub(" ", normalize("NFC", text[:_LONGEST_TEXT])).strip() if text else ""


def shown(text: str) -> str:
    """Return the beginning of a value, in one line, as a reason repeats it."""
    line = one_line(text[: 2 * _LONGEST_SHOWN])
    return f"“{line if len(line) <= _LONGEST_SHOWN else line[:_LONGEST_SHOWN] + '…'}”"


def _without_zeros(text: str) -> str:
    """Return a decimal number without the zeros at its end, and without those before it."""
    whole, point, decimals = text.partition(".")
    decimals = decimals.rstrip("0") if point else ""
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")
