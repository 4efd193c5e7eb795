"""PDF of a statement: every script is drawn without a gap, on numbered pages, with its totals and a chart."""

import datetime as dt
import io
import re
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path

import pypdf
import pytest
from fpdf.fonts import TTFFont
from rich.console import Console

from moneyflow.platform.errors import JobCancelledError
from moneyflow.platform.ids import new_id
from moneyflow.statements.writing import drawing, fonts, pdf
from moneyflow.statements.writing.page import Document
from moneyflow.statements.writing.statement import Entry, Statement, dumps, loads
from moneyflow.statements.writing.totals import totals_of
from ops.dev.stack import packages

#: A name in each script, with what a reader finds of it in the PDF.
_NAMES = {
    "Latin": "Zoë Łukasiewicz",
    "Vietnamese": "Nguyễn Thị Minh",
    "Greek": "Ελευθερία",
    "Cyrillic": "Дмитрий",
    "Arabic": "محمد الخوارزمي",
    "Hebrew": "שרה לוי",
    "Devanagari": "श्रीमती क्षत्रिय",
    "Thai": "สมชาย ใจดี",
    "Chinese": "王小明",
    "Japanese": "𠮷田さくら",
    "Korean": "김민준",
    "Tamil": "கண்ணன்",
    "Bengali": "রবীন্দ্র",
    "Georgian": "გიორგი",
    "Armenian": "Արամ",
    "Ethiopic": "አበበ",
    "Emoji": "🍕 🏠",
}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Install the fonts where they are missing, as a stack does for its workers."""
    packages.ensure_more(Console(stderr=True), packages.FONTS)


def _entry(
    category: str, *, note: str = "", amount: str = "12.30", currency: str = "EUR", income: bool = False
) -> Entry:
    return Entry(
        id=new_id(),
        date=dt.date(2026, 2, 28),
        kind="income" if income else "expense",
        amount=Decimal(amount),
        currency=currency,
        category=category,
        note=note,
        tags=(),
    )


def _statement(*entries: Entry, name: str = "Ada") -> Statement:
    return Statement(name=name, first_day=dt.date(2026, 1, 1), last_day=dt.date(2026, 12, 31), entries=entries)


def _reader(*entries: Entry) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf.document(_statement(*entries))))


def _texts(*entries: Entry) -> list[str]:
    return [page.extract_text() for page in _reader(*entries).pages]


def _glyphs(text: str) -> dict[str, set[int]]:
    """Return the glyphs that are drawn of each font for a text; each character has one."""
    with closing(Document(title="A statement", name=text)) as document:
        pdf.draw(document, _statement(_entry(text, note=f"{text}; {text}"), name=text))
        document.output()
        found = {}
        for name, font in document.fonts.items():
            assert isinstance(font, TTFFont)
            assert font.missing_glyphs == [], name
            found[name] = {
                glyph.glyph_id for glyph, _ in font.subset.items() if glyph is not None and glyph.unicode != (0,)
            }
    return found


@pytest.mark.parametrize("script", _NAMES)
def test_a_name_of_any_script_is_drawn_without_a_missing_glyph(script: str) -> None:
    name = _NAMES[script]

    drawn = _glyphs(name)

    assert fonts.drawable(name).text == name, "nothing is replaced"
    assert not any(0 in glyphs for glyphs in drawn.values()), "the glyph of what is missing is not drawn"
    assert sum(map(len, drawn.values())) > len(set(name))


@pytest.mark.parametrize("script", ["Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Chinese", "Korean", "Georgian"])
def test_the_text_can_be_read_back(script: str) -> None:
    name = _NAMES[script]

    text = "".join("".join(_texts(_entry(name))).split())

    assert set(name.replace(" ", "")) <= set(text)


def test_a_letter_that_joins_has_another_form_within_a_word_than_alone() -> None:
    joined, alone = _glyphs("بب"), _glyphs("ب ب")

    assert len(joined["notosansarabic-regular"] - alone["notosansarabic-regular"]) == 2, "its first and its last form"


def test_a_character_that_no_font_has_is_shown_as_unknown_and_what_is_invisible_is_left_out() -> None:
    assert fonts.drawable("a\U0001fae0b").text == "a\ufffdb"
    assert fonts.drawable("a\U000e0041b").text == "ab"


def test_totals_are_kept_apart_by_currency_and_by_category() -> None:
    totals = totals_of(
        [
            _entry("Food", amount="1.10"),
            _entry("Food", amount="2.20"),
            _entry("Food", amount="5", currency="JPY"),
            _entry("", amount="0.10"),
            _entry("Salary", amount="100.00", income=True),
        ]
    )

    assert totals.currencies == ("EUR", "JPY")
    assert (totals.income["EUR"], totals.expense["EUR"]) == (Decimal("100.00"), Decimal("3.40"))
    assert (totals.income["JPY"], totals.expense["JPY"]) == (Decimal(0), Decimal(5))
    assert [
        (name, currency, str(income), str(expense)) for name, currency, income, expense in totals.by_category()
    ] == [
        ("Food", "EUR", "0.00", "3.30"),
        ("Food", "JPY", "0", "5"),
        ("Salary", "EUR", "100.00", "0.00"),
        ("", "EUR", "0.00", "0.10"),
    ]
    assert totals.largest_expenses("EUR", limit=2, other="others", unnamed="none") == [
        ("Food", Decimal("3.30")),
        ("none", Decimal("0.10")),
    ]
    assert totals.largest_expenses("EUR", limit=1, other="others", unnamed="none") == [("others", Decimal("3.40"))]


def test_a_chart_is_of_vectors_and_its_bars_are_as_long_as_their_values() -> None:
    entries = (_entry("Food", amount="100.00"), _entry("Rent", amount="50.00"))

    content = _reader(*entries).pages[0].get_contents()
    assert content is not None
    bars = [line.split() for line in content.get_data().decode("latin-1").splitlines() if line.endswith(" re f")]
    widths = sorted(float(bar[2]) for bar in bars if abs(float(bar[3])) == pytest.approx(4.8 * 72 / 25.4, abs=0.1))
    assert widths[-1] == pytest.approx(2 * widths[-2], rel=0.01)
    assert "Expenses by category, EUR" in _texts(*entries)[0]


def test_a_statement_without_transactions_has_a_page() -> None:
    (text,) = _texts()

    assert "2026-01-01 to 2026-12-31" in text
    assert "Page 1 of 1" in text


def test_a_long_note_takes_some_lines_and_is_cut_off_then() -> None:
    texts = _texts(_entry("Food", note="many words " * 80))

    assert "…" in texts[0]
    assert texts[0].count("many words many") < 20
    assert len(texts) == 1


def test_the_fonts_and_the_packages_that_draw_add_less_than_150_mb_to_the_image() -> None:
    dockerfile = (Path(__file__).parents[2] / "ops" / "docker" / "app" / "Dockerfile").read_text(encoding="utf-8")
    kept = [pattern.strip("'") for pattern in re.findall(r"! -name (\S+)", dockerfile)]
    installed = [
        path for path in Path("/usr/share/fonts").rglob("*.tt[fc]") if not path.stem.startswith("NotoSerifCJK")
    ]

    fonts_of_image = [path for path in installed if any(fnmatch(path.name, pattern) for pattern in kept)]
    packages_of_python = [
        Path(str(file.locate()))
        for name in ("fpdf2", "fonttools", "uharfbuzz", "pillow", "defusedxml")
        for file in distribution(name).files or ()
    ]

    assert {"NotoSans-Regular", "NotoSans-Bold", "NotoSansCJK-Regular"} <= {path.stem for path in fonts_of_image}
    sizes = [path.stat().st_size for path in (*fonts_of_image, *packages_of_python) if path.exists()]
    assert 30_000_000 < sum(sizes) < 150_000_000


def test_a_statement_is_the_same_in_the_process_that_draws_it() -> None:
    statement = _statement(
        _entry("श्रीमती", note="a\nb", amount="0.10"), _entry("", currency="JPY", amount="5", income=True)
    )

    assert loads(dumps(statement)) == statement


def test_a_process_of_its_own_draws_and_its_memory_goes_with_it() -> None:
    content = drawing.draw(_statement(_entry("王小明")), check=lambda: None)

    text = pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text()
    assert "王小明" in text.replace(" ", "").replace("\0", ""), "pypdf reads a high byte of this font as NUL"
    code = "import sys, workers.jobs; sys.exit('fpdf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, (
        "a worker loads no library for PDF"
    )


def test_a_drawing_ends_when_its_job_is_cancelled() -> None:
    def cancelled() -> None:
        raise JobCancelledError("it was cancelled")

    with pytest.raises(JobCancelledError):
        drawing.draw(_statement(*[_entry("王小明 देवनागरी", note="محمد " * 40)] * 3000), check=cancelled)
