"""Reading of statements: what banks and spreadsheets write is read, and what cannot be is refused with what to do."""

import io
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from moneyflow.platform.errors import InvalidInputError
from moneyflow.statements.reading import statement
from moneyflow.statements.reading.mapping import CsvPlan, Given, plan_of
from moneyflow.statements.reading.rows import Entry, RefusedRow
from ops.dev import demo
from tests.support.imports import CSV, HEADER, OFX2, lines, rows_of

_SAMPLES = Path(demo.__file__).parent / "statements"


def _entries(content: bytes | str, given: Given | None = None, *, currency: str | None = None) -> list[tuple[Any, ...]]:
    """Return what the entries of a statement say; none of its rows is refused."""
    rows = rows_of(content, given, currency=currency)
    assert [row for row in rows if isinstance(row, RefusedRow)] == []
    return [(row.date, row.kind, str(row.amount), row.currency, row.note) for row in rows if isinstance(row, Entry)]


def _said(content: bytes | str, given: Given | None = None, *, currency: str | None = "EUR") -> list[tuple[Any, ...]]:
    """Return day, kind and amount of the entries."""
    return [entry[:3] for entry in _entries(content, given, currency=currency)]


def _refusal(content: bytes | str, given: Given | None = None, *, currency: str | None = "EUR") -> tuple[str, str]:
    """Return the pointer and the text with which a whole file is refused."""
    with pytest.raises(InvalidInputError) as caught:
        rows_of(content, given, currency=currency)
    ((pointer, _),) = caught.value.errors
    return pointer, caught.value.detail


@pytest.mark.parametrize(
    ("name", "currency", "read", "refused"),
    [
        ("girokonto.csv", None, ("EUR", 8, "626.11"), {11: "31.02.2026", 13: "zwölf"}),
        ("current-account.csv", "GBP", ("GBP", 6, "1407.70"), {7: "not a date", 8: "no amount"}),
        ("checking.ofx", None, ("USD", 5, "1866.95"), {49: "20261331", 56: "zero"}),
        ("carte.ofx", None, ("EUR", 4, "-79.30"), {12: "douze"}),
    ],
)
def test_a_statement_that_ships_with_the_demo_is_read_but_for_its_wrong_lines(
    name: str, currency: str | None, read: tuple[str, int, str], refused: dict[int, str]
) -> None:
    rows = rows_of((_SAMPLES / name).read_bytes(), currency=currency)

    entries = [row for row in rows if isinstance(row, Entry)]
    total = sum((one.amount if one.kind == "income" else -one.amount for one in entries), Decimal())
    wrong = {row.line: row.reason for row in rows if isinstance(row, RefusedRow)}
    assert ({one.currency for one in entries}, len(entries), str(total)) == ({read[0]}, read[1], read[2])
    assert wrong.keys() == refused.keys()
    assert all(text in wrong[line] for line, text in refused.items()), wrong


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # German: preamble, points between groups, a comma before the decimals.
        ("Konto;DE00\n\nBuchungstag;Betrag;Saldo\n31.01.2026;-1.234,56;1\n",
         [(date(2026, 1, 31), "expense", "1234.56")]),
        # French: narrow spaces between groups, a debit and a credit column.
        ("Date;Libellé;Débit;Crédit\n31/01/2026;A;1\u202f234,56;\n01/02/2026;B;;0,50\n",
         [(date(2026, 1, 31), "expense", "1234.56"), (date(2026, 2, 1), "income", "0.50")]),
        # Swiss: apostrophes.
        ("Datum;Betrag\n2026-01-31;1'234.56\n", [(date(2026, 1, 31), "income", "1234.56")]),
        # Spanish.
        ("Fecha;Concepto;Importe\n31/01/2026;A;-12,5\n", [(date(2026, 1, 31), "expense", "12.50")]),
        # Dutch: the direction in a column of its own, eight digits for the day.
        ('Datum,"Naam / Omschrijving","Af Bij","Bedrag (EUR)"\n20260131,A,Af,"12,34"\n20260201,B,Bij,"1,00"\n',
         [(date(2026, 1, 31), "expense", "12.34"), (date(2026, 2, 1), "income", "1.00")]),
        # American: the month first, brackets for a minus, a dollar.
        ('Date,Description,Amount\n01/31/2026,A,"($1,234.56)"\n', [(date(2026, 1, 31), "expense", "1234.56")]),
        # The minus behind, a real minus sign, a plus.
        ("Date\tAmount\n2026-01-31\t12.00-\n2026-02-01\t\u22123.00\n2026-02-02\t+4\n",
         [(date(2026, 1, 31), "expense", "12.00"), (date(2026, 2, 1), "expense", "3.00"),
          (date(2026, 2, 2), "income", "4.00")]),
        # Months as words; a time of day.
        ("Date|Amount\n31 Jan 2026|1.00\n", [(date(2026, 1, 31), "income", "1.00")]),
        ("Date,Amount\n2026-01-31T23:59:59Z,1.00\n", [(date(2026, 1, 31), "income", "1.00")]),
        # Years of two digits.
        ("Datum;Betrag\n31.01.26;1,00\n", [(date(2026, 1, 31), "income", "1.00")]),
        # Without a header.
        ("31.01.2026;Bakery;-3,20\n01.02.2026;Salary;1.500,00\n",
         [(date(2026, 1, 31), "expense", "3.20"), (date(2026, 2, 1), "income", "1500.00")]),
        # Excel's hint of the delimiter.
        ("sep=;\nDate;Amount\n2026-01-31;1,00\n", [(date(2026, 1, 31), "income", "1.00")]),
    ],
)  # fmt: skip
def test_the_styles_of_banks_are_found_out(content: str, expected: list[Any]) -> None:
    assert _said(content) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"])
def test_the_encoding_is_found_out(encoding: str) -> None:
    rows = _entries("Datum;Verwendungszweck;Betrag (€)\n31.01.2026;Brötchen für 3 €;-3,20\n".encode(encoding))

    assert rows == [(date(2026, 1, 31), "expense", "3.20", "EUR", "Brötchen für 3 €")]


def test_a_file_that_is_utf8_at_first_only_is_read_as_windows_1252() -> None:
    rows = _entries(HEADER.encode() + b"2026-01-01,1,EUR,a\n" * 20_000 + "2026-01-01,1,EUR,ü\n".encode("windows-1252"))

    assert rows[-1][-1] == "ü"


@pytest.mark.parametrize(
    ("currency", "text", "amount"),
    [("JPY", "1,234", "1234"), ("EUR", "1.234", "1234.00"), ("KWD", "12.3450", "12.345"), ("EUR", "0012,30", "12.30")],
)
def test_an_amount_has_the_decimals_of_its_currency(currency: str, text: str, amount: str) -> None:
    ((_, _, read, *_),) = _entries(f'Date;Amount\n2026-01-31;"{text}"\n', currency=currency)

    assert read == amount


@pytest.mark.parametrize(
    ("content", "currency", "pointer", "words"),
    [
        ("Date,Amount\n01/02/2026,1.00\n03/04/2026,2.00\n", "EUR", "/mapping/date_format", "DMY and as MDY"),
        ("Date,Amount\n13/02/2026,1.00\n02/13/2026,2.00\n", "EUR", "/mapping/date_format", "is MDY"),
        ('Date,Amount\n2026-01-31,"1,50"\n2026-01-31,1.50\n', "EUR", "/mapping/decimal", "before the decimals"),
        ("Date,Amount\n2026-01-31,1.00\n", None, "/currency", "must be given"),
        ("2026-01-31;1,00;5,00\n2026-01-31;1,00;6,00\n", "EUR", "/mapping/columns", "columns 2, 3"),
        ("Name,Town\nAda,London\n", "EUR", "/mapping/columns", "no column of dates"),
        ("", "EUR", "/file", "empty"),
        ("   \r\n\r\n", "EUR", "/file", "empty"),
        (b"PK\x03\x04\x14\x00\x06\x00" + b"Date,Amount\n", "EUR", "/file", "zip"),
        (b"%PDF-1.7\n", "EUR", "/file", "PDF"),
        (bytes(range(256)) * 40, "EUR", "/file", "binary"),
        (b"\x7fELF" + b"\0" * 5000, "EUR", "/file", "binary"),
    ],
)  # fmt: skip
def test_what_is_not_clear_or_no_statement_is_refused_with_what_to_do(
    content: bytes | str, currency: str | None, pointer: str, words: str
) -> None:
    refused, detail = _refusal(content, currency=currency)

    assert refused == pointer
    assert words in detail


def test_an_amount_that_can_be_read_in_two_ways_is_refused_until_the_mark_is_given() -> None:
    content = "Date;Amount\n2026-01-31;1.234\n"

    (refused,) = rows_of(content, currency="KWD")

    assert isinstance(refused, RefusedRow)
    assert "give the mapping's `decimal`" in refused.reason
    assert _said(content, Given(decimal=","), currency="KWD") == [(date(2026, 1, 31), "income", "1234.000")]
    assert _said(content, Given(decimal="."), currency="KWD") == [(date(2026, 1, 31), "income", "1.234")]


def test_a_mapping_decides_what_cannot_be_found_out() -> None:
    content = "wann,wieviel,rest,was\n01/02/2026,1.00,9.00,Kiosk\n03/04/2026,-2.00,7.00,Amt\n"
    given = Given(
        columns={"date": "Wann", "amount": 2, "note": ("was",)}, date_format="MDY", sign="positive_is_expense"
    )

    assert _entries(content, given, currency="EUR") == [
        (date(2026, 1, 2), "expense", "1.00", "EUR", "Kiosk"),
        (date(2026, 3, 4), "income", "2.00", "EUR", "Amt"),
    ]


def test_columns_that_are_given_by_number_need_no_header() -> None:
    given = Given(columns={"date": 2, "amount": 1}, has_header=False, delimiter=",", decimal=".")

    assert _said("1.50,2026-01-31\n2.50,2026-02-01\n", given) == [
        (date(2026, 1, 31), "income", "1.50"),
        (date(2026, 2, 1), "income", "2.50"),
    ]
    assert _said("x,y\n1.50,2026-01-31\n", Given(columns={"date": 2, "amount": 1})) == [
        (date(2026, 1, 31), "income", "1.50")
    ]


def test_a_name_in_the_mapping_that_no_header_has_is_refused() -> None:
    pointer, detail = _refusal(CSV, Given(columns={"date": "Datum", "amount": "Amount"}))

    assert pointer == "/mapping/columns"
    assert "datum" in detail


def test_a_plan_that_is_stored_reads_the_same() -> None:
    plan = statement.plan(CSV.encode(), Given(), currency=None, is_utf8=True)
    stored = plan_of(plan.model_dump(mode="json"))

    assert isinstance(plan, CsvPlan)
    assert stored == plan


def test_a_quotation_mark_that_is_never_closed_costs_its_own_line_alone() -> None:
    content = lines(['2026-01-01,1,EUR,"open', *["2026-01-02,2,EUR,ok"] * 200])

    first, *others = rows_of(content)

    assert first == RefusedRow(line=2, reason="a quotation mark is opened and never closed")
    assert [type(row) for row in others] == [Entry] * 200


def test_a_record_of_several_lines_is_one_row() -> None:
    rows = rows_of(lines(['2026-01-01,1,EUR,"two\nlines; and ""quotes"""', "2026-01-02,2,EUR,next"]))

    assert [(row.line, row.note) for row in rows if isinstance(row, Entry)] == [
        (2, 'two lines; and "quotes"'),
        (4, "next"),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x" * 2_000_000, "longer than"),
        ("1;" * 1_000_000, "longer than"),
        (",".join(["1"] * 1000), "more than 500 columns"),
        ("2026-01-31,,EUR,x", "no amount"),
        ("2026-01-31", "the row has 1 columns, and the amount is in column 2"),
        ("2026-01-31,1,XXZ,x", "must be a currency"),
        ("2026-01-31,1.005,EUR,x", "at most 2 decimals"),
        ("2026-01-31,1e5,EUR,x", "no number"),
        ("2026-01-31,NaN,EUR,x", "no number"),
        ("2026-01-31,9999999999999999,EUR,x", "digits before the point"),
        ("2026-02-31,1,EUR,x", "no day"),
        ("1815-12-10,1,EUR,x", "not between"),
        ("0000-00-00,1,EUR,x", "no day"),
    ],
)
def test_a_row_that_is_no_entry_is_refused_and_those_around_it_are_read(row: str, words: str) -> None:
    good = "2026-01-31,1.50,EUR,ok"

    before, refused, after = rows_of(lines([good, row, good]))

    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert isinstance(refused, RefusedRow)
    assert refused.line == 3
    assert words in refused.reason
    assert len(refused.reason) < 300


def test_a_note_is_one_line_without_control_characters_and_not_too_long() -> None:
    (entry,) = rows_of(lines([f"2026-01-31,1,EUR,\x07a\tb\u2028c{'d' * 2000}"]))

    assert isinstance(entry, Entry)
    assert entry.note.startswith("a b cd")
    assert len(entry.note) == 1000


_OFX = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:{charset}
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>2</BANKACCTFROM><BANKTRANLIST>
{transactions}
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""


def _ofx(transactions: str, charset: str = "1252") -> str:
    return _OFX.format(transactions=transactions, charset=charset)


def _transaction(**elements: str) -> str:
    fields = {"DTPOSTED": "20260131", "TRNAMT": "-1.50", "FITID": "1", "NAME": "Kiosk"} | elements
    return "<STMTTRN>" + "".join(f"<{name}>{text}\n" for name, text in fields.items()) + "</STMTTRN>"


def test_the_day_of_a_transaction_is_the_one_that_the_bank_writes() -> None:
    ((day, *_),) = _entries(_ofx(_transaction(DTPOSTED="20260131235959.000[-5:EST]")))

    assert day == date(2026, 1, 31)


@pytest.mark.parametrize(("charset", "encoding"), [("1252", "cp1252"), ("NONE", "utf-8"), ("CSUNICODE", "utf-8"),
                                                  ("NONE", "cp1252"), ("ISO-8859-1", "latin-1")])  # fmt: skip
def test_text_in_ofx_is_read_in_the_encoding_that_it_has(charset: str, encoding: str) -> None:
    rows = _entries(_ofx(_transaction(NAME="Café &amp; Thé"), charset).encode(encoding))

    assert rows[0][-1] == "Café & Thé"


def test_each_statement_of_an_ofx_file_has_its_own_account_and_currency() -> None:
    one = _ofx(_transaction())
    other = one.partition("<OFX>")[2].replace("<CURDEF>EUR", "<CURDEF>USD").replace("<ACCTID>2", "<ACCTID>3")

    first, second = rows_of(one + other)

    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    assert (first.account, first.currency, second.account, second.currency) == ("1 2", "EUR", "1 3", "USD")


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"TRNAMT": "x"}, "amount TRNAMT"),
        ({"TRNAMT": "NaN"}, "amount TRNAMT"),
        ({"TRNAMT": "1E+400"}, "amount"),
        ({"DTPOSTED": "2026"}, "date DTPOSTED"),
        ({"CORRECTFITID": "7", "CORRECTACTION": "DELETE"}, "corrects the earlier transaction"),
        ({"NAME": "x" * 40_000}, "not closed within"),
    ],
)
def test_a_transaction_of_ofx_that_is_wrong_is_refused_and_those_around_it_are_read(
    elements: dict[str, str], words: str
) -> None:
    before, refused, after = rows_of(_ofx(_transaction() + _transaction(**elements) + _transaction()))

    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert isinstance(refused, RefusedRow)
    assert words in refused.reason


def test_an_ofx_file_that_declares_entities_is_refused() -> None:
    bomb = "<!DOCTYPE OFX [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"

    pointer, detail = _refusal(f"{OFX2}{bomb}<OFX>{_transaction(NAME='&b;')}</OFX>")
    late, _ = _refusal(_ofx(_transaction()) + " " * 300_000 + bomb)

    assert (pointer, late) == ("/file", "/file")
    assert "entities" in detail


def test_an_ofx_file_with_a_damaged_header_is_refused() -> None:
    pointer, detail = _refusal(_ofx(_transaction()).replace("VERSION:102", "VERSION:one"))

    assert pointer == "/file"
    assert "header of OFX" in detail


class _Endless(io.RawIOBase):
    """A file of so many bytes of the same piece, of which none is kept."""

    def __init__(self, head: bytes, piece: bytes, size: int) -> None:
        self._pieces = self._made(head, piece, size)

    def _made(self, head: bytes, piece: bytes, size: int) -> Iterator[bytes]:
        yield head
        for _ in range(size // len(piece)):
            yield piece

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEADER.encode(), b"x" * 8192),
        (HEADER.encode(), b";" * 8192),
        (HEADER.encode(), b'"' + b"x" * 8190 + b"\n"),
        (CSV.encode(), b"2026-01-31,1.50,EUR,ok\n" * 300),
        (_ofx(_transaction()).encode(), b"x" * 8192),
        (_ofx("").encode(), b"<STMTTRN>" * 900),
    ],
)
def test_memory_is_bounded_whatever_a_file_of_fifty_megabytes_has(head: bytes, piece: bytes) -> None:
    plan = statement.plan(CSV.encode() if b"OFX" not in head else head, Given(), currency=None, is_utf8=True)
    file = io.BufferedReader(_Endless(head, piece, 50_000_000 if piece[:1] in b"x;" else 1_000_000))

    tracemalloc.start()
    for _ in statement.rows(file, plan):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 4_000_000
