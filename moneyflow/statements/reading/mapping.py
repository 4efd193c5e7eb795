"""Mapping: what a sender says of the columns of a CSV file, and the plan by which all of it is read then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from moneyflow.statements.reading.amounts import DecimalMark
from moneyflow.statements.reading.dates import DateOrder
from moneyflow.statements.reading.encodings import Encoding

#: What a column may hold.
Role = Literal["date", "amount", "debit", "credit", "direction", "currency", "note", "category", "account"]
Delimiter = Literal[",", ";", "\t", "|"]
Quote = Literal['"', "'"]
#: The kind of an amount without a minus.
Sign = Literal["positive_is_income", "positive_is_expense"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the sender has given; what is None is found out."""

    #: A column by its name, or by its number from 1; the columns of a note may be several.
    columns: Mapping[Role, str | int | tuple[str | int, ...]] = field(default_factory=dict)
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    quote: Quote | None = None
    has_header: bool | None = None
    date_format: DateOrder | None = None
    decimal: DecimalMark | None = None
    sign: Sign | None = None
    #: A name for the account that the file is of, where no column names one.
    account: str | None = None


class Columns(BaseModel):
    """The places of the columns, from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: int
    amount: int | None = None
    debit: int | None = None
    credit: int | None = None
    direction: int | None = None
    currency: int | None = None
    note: tuple[int, ...] = ()
    category: int | None = None
    account: int | None = None


class CsvPlan(BaseModel):
    """How a CSV file is read, from its first row to its last; stored with the import."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["csv"] = "csv"
    encoding: str
    delimiter: Delimiter
    quote: Quote
    #: The line of the header; rows up to it are none. 0 without a header.
    header_line: int
    columns: Columns
    date_format: DateOrder | None
    decimal: DecimalMark | None
    sign: Sign
    #: Of rows that name none.
    currency: str | None
    account: str


class OfxPlan(BaseModel):
    """How an OFX file is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ofx"] = "ofx"
    encoding: str
    #: Of a statement that names none.
    currency: str | None


Plan = CsvPlan | OfxPlan


def plan_of(stored: Mapping[str, object]) -> Plan:
    """Return the plan that was stored."""
    return OfxPlan.model_validate(stored) if stored["format"] == "ofx" else CsvPlan.model_validate(stored)
