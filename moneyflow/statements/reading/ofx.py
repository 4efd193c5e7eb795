"""OFX 1 (SGML) and 2 (XML): the transactions of a file one by one, each parsed by ofxtools, so that memory is bounded.

ofxtools builds a tree of a whole file. Here only the text of one transaction at a time is given to it. What is around
the transactions is kept to a few kilobytes: the account and the currency of their statement are named there. No entity
is expanded but those of characters, and a file that declares some is refused.
"""

import datetime as dt
import html
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, BinaryIO

# Types of ofxtools, whose own parser expands nothing.
from xml.etree.ElementTree import Element, ParseError  # nosec B405

from ofxtools import Types
from ofxtools.header import OFXHeaderError, parse_header
from ofxtools.Parser import ParseError as OfxParseError
from ofxtools.Parser import TreeBuilder

from moneyflow.platform.patterns import Pattern
from moneyflow.statements.reading.dates import read_date
from moneyflow.statements.reading.encodings import refused_file
from moneyflow.statements.reading.mapping import OfxPlan
from moneyflow.statements.reading.rows import Entry, RefusedRow, Row, RowError, entry, shown

# It would log a line for each transaction.
logging.getLogger("ofxtools").setLevel(logging.WARNING)

#: Bytes that are read at once, of one transaction at most, of the header, and of what is kept around transactions.
_PIECE, _LONGEST, _HEADER, _FRAME = 64 * 1024, 32 * 1024, 8 * 1024, 16 * 1024

_OPEN, _CLOSE = b"<STMTTRN>", b"</STMTTRN>"
#: SECURITY: entities are what an XML bomb is made of; no statement needs one.
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY", b"<!ELEMENT")
_CHARSET = Pattern(r"CHARSET:\s*([\w-]{1,40})", longest=_HEADER)
_CHARSETS = frozenset({"ISO-8859-1", "1252", "NONE"})
_CURRENCY = Pattern(r"<CURDEF>\s*([A-Z]{3})", longest=_FRAME)
_ACCOUNT = Pattern(r"<(?:BANKID|ACCTID)>\s*([^<\r\n]{1,64})", longest=_FRAME)
_STATEMENT = Pattern(r"<(?:CC|INV)?STMTRS>", longest=_FRAME)

#: Digits of an amount; `1E+400` has more.
_DIGITS = 30

_DATE, _AMOUNT = Types.DateTime(), Types.Decimal()


@dataclass
class _Statement:
    """What is known of the statement that is being read."""

    currency: str | None
    account: str = ""


@dataclass
class _Pieces:
    """The file, in pieces: what was read and not yet used, and the line that it begins on."""

    file: BinaryIO
    buffer: bytearray = field(default_factory=bytearray)
    line: int = 1
    is_ended: bool = False

    def more(self) -> bool:
        """Read the next piece; return whether there was one."""
        piece = self.file.read(_PIECE)
        self.buffer += piece
        self.is_ended = not piece
        return not self.is_ended

    def take(self, size: int) -> bytes:
        """Return the next bytes, and count their lines."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.line += taken.count(b"\n")
        return taken


def is_ofx(head: bytes) -> bool:
    """Return whether a file begins as OFX does."""
    start = head[:_HEADER].upper()
    return b"OFXHEADER" in start or b"<OFX>" in start


def plan_ofx(head: bytes, *, currency: str | None) -> OfxPlan:
    """Return the plan of an OFX file that begins with these bytes.

    Raises:
        InvalidInputError: its header is damaged, it declares entities, or it has no transactions in sight.
    """
    start = head[:_HEADER]
    _check_declarations(head)
    found = start.find(b"<OFX>")
    if found < 0:
        raise refused_file("is no OFX: after its header the element <OFX> is missing; export the statement again")
    text = start[:found].decode("ascii", "replace")
    charset = _CHARSET.search(text)
    if charset and charset[1] not in _CHARSETS:  # Many banks write UTF-8 here, which the standard does not know.
        text = text.replace(charset[0], "CHARSET:NONE")
    try:
        header, _ = parse_header(io.BytesIO(text.encode("ascii", "replace")))
    except (OFXHeaderError, ValueError) as error:
        raise refused_file(f"has no valid header of OFX ({shown(str(error))}); export the statement again") from None
    return OfxPlan(encoding=header.codec, currency=currency)


def rows(file: BinaryIO, plan: OfxPlan) -> Iterator[Row]:
    """Yield the transactions in the order of the file.

    Raises:
        InvalidInputError: the file declares entities.
    """
    pieces, statement, frame = _Pieces(file), _Statement(plan.currency), b""
    while True:
        start = pieces.buffer.find(_OPEN)
        if start < 0:
            frame = _frame(frame, pieces.take(max(len(pieces.buffer) - len(_OPEN), 0)))
            if not pieces.more():
                return
            continue
        _enter(statement, _frame(frame, pieces.take(start)), plan)
        frame, line = b"", pieces.line
        text = _transaction(pieces)
        if text is None:
            yield RefusedRow(line=line, reason=f"the transaction is not closed within {_LONGEST} bytes")
        else:
            yield _row(text, line, statement, plan)


def _frame(before: bytes, taken: bytes) -> bytes:
    """Return the last of what is around transactions."""
    frame = before + taken
    _check_declarations(frame)
    return frame[-_FRAME:]


def _check_declarations(text: bytes) -> None:
    if any(one in text for one in _DECLARATIONS):
        raise refused_file("declares a document type or entities, which no statement needs; export the statement again")


def _enter(statement: _Statement, frame: bytes, plan: OfxPlan) -> None:
    """Note what the text before a transaction says of its statement."""
    text = frame.decode("ascii", "replace")
    if _STATEMENT.search(text):
        statement.currency, statement.account = plan.currency, ""
    for found in _CURRENCY.finditer(text):
        statement.currency = found[1]
    if accounts := [found[1].strip() for found in _ACCOUNT.finditer(text)]:
        statement.account = " ".join(accounts[-2:])


def _transaction(pieces: _Pieces) -> bytes | None:
    """Return the text of the transaction that begins here; None where it is not closed in time."""
    while True:
        end = pieces.buffer.find(_CLOSE, 0, _LONGEST)
        following = pieces.buffer.find(_OPEN, len(_OPEN), _LONGEST)
        if end >= 0 and not 0 <= following < end:
            return pieces.take(end + len(_CLOSE))
        if following >= 0 or len(pieces.buffer) >= _LONGEST or not pieces.more():
            pieces.take(following if following >= 0 else len(_OPEN))
            return None


def _row(content: bytes, line: int, statement: _Statement, plan: OfxPlan) -> Row:
    try:
        return _entry(_tree(_decoded(content, plan.encoding)), line, statement)
    except RowError as error:
        return RefusedRow(line=line, reason=str(error))


def _decoded(content: bytes, encoding: str) -> str:
    """Return the text; banks that declare ASCII or UTF-8 write Windows-1252 all the same."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("windows-1252", "replace")


def _tree(text: str) -> Element:
    builder = TreeBuilder()  # It knows no entities.
    try:
        builder.feed(text)
        return builder.close()
    except (OfxParseError, ParseError, AssertionError, IndexError) as error:
        raise RowError(f"the transaction is no OFX: {shown(str(error))}") from None


def _entry(found: Element, line: int, statement: _Statement) -> Entry:
    texts = {child.tag: _unescaped(child.text) for child in found}
    if correction := texts.get("CORRECTFITID"):
        action = texts.get("CORRECTACTION") or "REPLACE"
        raise RowError(f"it corrects the earlier transaction {shown(correction)} ({action}); change that one by hand")
    currency = _inner(found, "CURRENCY/CURSYM") if "CURRENCY" in texts else statement.currency
    if not currency:
        raise RowError("the statement names no currency; give the form's `currency`")
    payee = texts.get("NAME") or (_inner(found, "PAYEE/NAME") if "PAYEE" in texts else "")
    return entry(
        line=line,
        date=_day(texts.get("DTPOSTED") or texts.get("DTUSER", "")),
        signed=f"{_converted(_AMOUNT, texts.get('TRNAMT', ''), 'amount TRNAMT'):f}",
        currency=currency,
        notes=[payee, texts.get("MEMO", "")],
        account=statement.account,
        bank_id=texts.get("FITID", ""),
    )


def _unescaped(text: str | None) -> str:
    bare = (text or "").strip()
    return html.unescape(bare) if "&" in bare else bare


def _inner(found: Element, path: str) -> str:
    return _unescaped(found.findtext(path))


# PERF: the transactions of a statement share their days.
@lru_cache(maxsize=1024)
def _day(posted: str) -> dt.date:
    """Return the day as the bank writes it, in the bank's own time zone."""
    _converted(_DATE, posted, "date DTPOSTED")
    return read_date(posted[:8], "YMD")


def _converted(converter: Any, text: str, what: str) -> Decimal:
    if not text:
        raise RowError(f"the transaction has no {what}")
    try:
        value: Decimal = converter.convert(text)
    except (ValueError, InvalidOperation, OverflowError):
        raise RowError(f"the {what} {shown(text)} is none of OFX") from None
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _DIGITS):
        raise RowError(f"the {what} {shown(text)} is none of OFX")
    return value
