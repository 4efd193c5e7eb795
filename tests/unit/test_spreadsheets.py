"""What a spreadsheet writes is read: CSV files of all dialects, encodings, languages and styles of numbers and days.

`make acceptance ARGS=import` writes thousands of them.
"""

import csv
import datetime as dt
import io
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from moneyflow.money.currencies import DECIMALS
from moneyflow.statements.reading.mapping import Given
from moneyflow.statements.reading.rows import Entry, RefusedRow, one_line
from tests.support.imports import rows_of

#: The names of day, text and amount, and of debit and credit.
_LANGUAGES = {
    "en": ("Date", "Description", "Amount", "Debit", "Credit"),
    "de": ("Buchungstag", "Verwendungszweck", "Betrag", "Soll", "Haben"),
    "fr": ("Date de l'opération", "Libellé", "Montant", "Débit", "Crédit"),
    "es": ("Fecha operación", "Concepto", "Importe", "Cargo", "Abono"),
    "it": ("Data operazione", "Descrizione", "Importo", "Dare", "Avere"),
    "nl": ("Boekdatum", "Omschrijving", "Bedrag", "Af", "Bij"),
    "pt": ("Data", "Descrição", "Valor", "Débito", "Crédito"),
    "pl": ("Data operacji", "Opis operacji", "Kwota", "Debit", "Credit"),
}
#: Groups of digits and the mark before the decimals, as locales have them.
_NUMBERS = ((",", "."), (".", ","), (" ", ","), ("\u00a0", ","), ("\u202f", ","), ("'", "."), ("\u2019", "."),
            ("", "."), ("", ","))  # fmt: skip
_DAYS = {"YMD": ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"), "DMY": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d %b %Y"),
         "MDY": ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")}  # fmt: skip
_MINUSES = ("-{}", "{}-", "({})", "\u2212{}")
_PREAMBLES: tuple[list[list[str]], ...] = (
    [],
    [["Konto", "DE00 1234"]],
    [["sep="]],
    [["Statement of account"], [], ["From", "To", "2026"]],
)
_CURRENCIES = ("EUR", "USD", "JPY", "GBP", "CHF")
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """How a spreadsheet writes."""

    language: str
    encoding: str
    delimiter: str
    quoting: int
    ends: str
    numbers: tuple[str, str]
    order: str
    day: str
    minus: str
    is_split: bool
    preamble: int
    currency: str


_sheets = st.sampled_from(sorted(_DAYS)).flatmap(
    lambda order: st.builds(
        _Sheet,
        language=st.sampled_from(sorted(_LANGUAGES)),
        encoding=st.sampled_from(_ENCODINGS),
        delimiter=st.sampled_from(",;\t|"),
        quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
        ends=st.sampled_from(("\r\n", "\n")),
        numbers=st.sampled_from(_NUMBERS),
        order=st.just(order),
        day=st.sampled_from(_DAYS[order]),
        minus=st.sampled_from(_MINUSES),
        is_split=st.booleans(),
        preamble=st.integers(0, len(_PREAMBLES) - 1),
        currency=st.sampled_from(_CURRENCIES),
    )
)
_rows = st.lists(
    st.tuples(
        st.dates(dt.date(1970, 1, 1), dt.date(2068, 12, 31)),
        st.text(st.characters(exclude_categories=("Cs", "Co", "Cn"), exclude_characters="\0\r"), max_size=30),
        st.integers(-(10**9), 10**9).filter(bool),
    ),
    min_size=1,
    max_size=20,
)


def _number(cents: int, sheet: _Sheet) -> str:
    """Return an amount as the spreadsheet writes it."""
    decimals = DECIMALS[sheet.currency]
    text = f"{abs(cents) / Decimal(10**decimals):,.{decimals}f}"
    grouping, mark = sheet.numbers
    return text.replace(",", "\0").replace(".", mark).replace("\0", grouping)


def _written(sheet: _Sheet, rows: list[tuple[dt.date, str, int]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sheet.delimiter, quoting=sheet.quoting, lineterminator=sheet.ends)  # type: ignore[arg-type]
    writer.writerows(_PREAMBLES[sheet.preamble])
    day, note, amount, debit, credit = _LANGUAGES[sheet.language]
    writer.writerow([day, note, debit, credit] if sheet.is_split else [day, note, amount])
    for date, words, cents in rows:
        number = _number(cents, sheet)
        if sheet.is_split:
            amounts = [number, ""] if cents < 0 else ["", number]
        else:
            amounts = [sheet.minus.format(number) if cents < 0 else number]
        writer.writerow([date.strftime(sheet.day), words, *amounts])
    return text.getvalue()


def _is_clear(sheet: _Sheet, rows: list[tuple[dt.date, str, int]]) -> bool:
    """Return whether the order of the days can be seen: no order is clear where all days are small."""
    is_worded = "%b" in sheet.day or "." in sheet.day or sheet.order == "YMD"
    return is_worded or any(date.day > 12 for date, *_ in rows)


def _is_other_text(content: bytes, text: str) -> bool:
    """Return whether bytes of Windows-1252 are other text in UTF-8, where no one can know which of the two is meant."""
    try:
        return content.decode("utf-8") != text
    except UnicodeDecodeError:
        return False


@pytest.fixture(scope="module")
def examples(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--spreadsheets"))


def test_what_a_spreadsheet_has_written_is_read(examples: int) -> None:
    seen: set[object] = set()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(sheet=_sheets, rows=_rows)
    def check(sheet: _Sheet, rows: list[tuple[dt.date, str, int]]) -> None:
        text = _written(sheet, rows)
        try:
            content = text.encode(sheet.encoding)
        except UnicodeEncodeError:
            reject()
        hint = Given() if _is_clear(sheet, rows) else Given(date_format=sheet.order)  # type: ignore[arg-type]
        if sheet.encoding == "cp1252" and _is_other_text(content, text):
            hint = replace(hint, encoding="windows-1252")

        read = rows_of(content, hint, currency=sheet.currency)

        assert [row for row in read if isinstance(row, RefusedRow)] == []
        unit = Decimal(1).scaleb(-DECIMALS[sheet.currency])
        assert [
            (row.date, row.note, row.amount * (1 if row.kind == "income" else -1))
            for row in read
            if isinstance(row, Entry)
        ] == [(date, one_line(words), cents * unit) for date, words, cents in rows]
        seen.update((sheet.encoding, sheet.delimiter, sheet.language, sheet.numbers, sheet.day))

    check()

    assert len(seen) > 20, "of each a few"
