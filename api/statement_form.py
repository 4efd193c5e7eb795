"""The form of an import: a statement, what its columns mean, and the currency of rows that name none."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import falcon
from falcon.media.multipart import BodyPart
from pydantic import AfterValidator, Field, StringConstraints

from api.bodies import Body, parse
from api.fields import Currency
from api.forms import pieces_of, read_parts, text_of
from api.upload_sizes import IMPORT_BYTES
from moneyflow.gateways.storage import Written
from moneyflow.money.currencies import decimals_of
from moneyflow.money.texts import LONGEST_NAME, one_line
from moneyflow.platform.errors import InvalidInputError
from moneyflow.statements.imports import file_name
from moneyflow.statements.reading.amounts import DecimalMark
from moneyflow.statements.reading.dates import DateOrder
from moneyflow.statements.reading.encodings import Encoding, Utf8Scan, check_text, refused_file
from moneyflow.statements.reading.mapping import Delimiter, Given, Quote, Role, Sign
from moneyflow.statements.reading.records import MOST_COLUMNS
from moneyflow.statements.reading.statement import HEAD_BYTES

_EXAMPLE = "Date,Description,Amount\n2026-02-28,Bread,-3.20\n"

#: A column by the name that the header has for it, or by its number from 1.
Column = Annotated[str, StringConstraints(min_length=1, max_length=200)] | Annotated[int, Field(ge=1, le=MOST_COLUMNS)]


class StatementColumns(Body):
    """Which column is what, each by its name in the header or by its number from 1; case and accents do not matter."""

    date: Column | None = None
    amount: Column | None = Field(default=None, description="With a sign, or with the column `direction`.")
    debit: Column | None = Field(default=None, description="Amounts of expenses, where those of incomes are apart.")
    credit: Column | None = None
    direction: Column | None = Field(default=None, description="Debit or credit, as D and C, S and H, or Af and Bij.")
    currency: Column | None = None
    note: Annotated[tuple[Column, ...], Field(max_length=5, strict=False)] | None = None
    category: Column | None = Field(default=None, description="The name of a category of the caller.")
    account: Column | None = None


class StatementMapping(Body):
    """How a CSV file is to be read; what is left out is found out. For OFX nothing has to be given."""

    columns: StatementColumns | None = None
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    quote: Quote | None = None
    has_header: bool | None = None
    date_format: DateOrder | None = Field(default=None, description="The order of day, month and year.")
    decimal: DecimalMark | None = Field(default=None, description="The mark before the decimals.")
    sign: Sign | None = Field(default=None, description="What an amount without a minus is.")
    account: Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(one_line)] | None = Field(
        default=None, description="A name for the account: entries of two accounts are never taken for the same."
    )

    def given(self) -> Given:
        """Return it without what is left out."""
        columns: dict[Role, Any] = cast("Any", self.columns.model_dump(exclude_none=True)) if self.columns else {}
        options = self.model_dump(exclude_none=True, exclude={"columns"})
        return Given(columns=columns, **options)


class StatementForm(Body):
    """The form of an import."""

    file: Annotated[bytes, Field(strict=False, description="OFX 1 or 2, or CSV.", examples=[_EXAMPLE])]
    mapping: StatementMapping | None = None
    currency: Currency | None = None


@dataclass(kw_only=True)
class Received:
    """A form as it was received: what is known of the file, and where it was written, if it was."""

    name: str = ""
    head: bytes = b""
    is_utf8: bool = True
    written: Written | None = None
    given: Given = field(default_factory=Given)
    currency: str | None = None
    #: What tells one request from another, besides the file.
    fields: dict[str, str] = field(default_factory=dict)


def receive(request: falcon.Request, received: Received, *, write: Callable[[Iterator[bytes]], Written] | None) -> None:
    """Receive the form; `write` writes the file as it comes, without it only its first bytes are read.

    `received` is filled as the parts come, so that the caller knows what was written when this raises.

    Raises:
        InvalidInputError: a part is missing, unknown or does not fit, or the file is no text.
    """
    readers: Mapping[str, Callable[[BodyPart], None]] = {
        "file": lambda part: _receive_file(part, received, write),
        "mapping": lambda part: _receive_mapping(part, received),
        "currency": lambda part: _receive_currency(part, received),
    }
    for name, part in read_parts(request, IMPORT_BYTES):
        if name not in readers:
            raise _invalid("", "a part of the form is none of file, mapping and currency; leave it out")
        readers[name](part)
    if not received.name:
        raise refused_file("is missing; send it as the part `file` of the form")


def _receive_file(part: BodyPart, received: Received, write: Callable[[Iterator[bytes]], Written] | None) -> None:
    received.name = file_name(part.filename)
    pieces = _watched(part, received)
    if write is not None:
        received.written = write(pieces)
    else:
        while len(received.head) < HEAD_BYTES and next(pieces, None) is not None:
            pass
    check_text(received.head)


def _watched(part: BodyPart, received: Received) -> Iterator[bytes]:
    """Yield the pieces; what is no text is refused before its first piece is written."""
    scan = Utf8Scan()
    for piece in pieces_of(part):
        if not received.head:
            check_text(piece)
        received.head += piece[: HEAD_BYTES - len(received.head)]
        scan.feed(piece)
        received.is_utf8 = scan.is_valid
        yield piece


def _receive_mapping(part: BodyPart, received: Received) -> None:
    received.fields["mapping"] = text = text_of(part)
    if not text.strip():
        return
    try:
        received.given = parse(text.encode(), StatementMapping).given()
    except InvalidInputError as error:
        errors = tuple((f"/mapping{pointer}", detail) for pointer, detail in error.errors)
        raise InvalidInputError(error.detail.replace("the body", "the mapping"), errors) from None
    except falcon.HTTPBadRequest as error:
        problem = (error.description or "").replace("the body", "it")
        raise _invalid("/mapping", f"must be JSON: {problem}") from None


def _receive_currency(part: BodyPart, received: Received) -> None:
    received.fields["currency"] = code = text_of(part).strip()
    if not code:
        return
    try:
        decimals_of(code)
    except ValueError as error:
        raise _invalid("/currency", str(error)) from None
    received.currency = code


def _invalid(pointer: str, problem: str) -> InvalidInputError:
    errors: Any = ((pointer, problem),) if pointer else ()
    return InvalidInputError(f"{pointer[1:]} {problem}".strip(), errors)
