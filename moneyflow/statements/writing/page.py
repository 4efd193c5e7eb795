"""Pages: headings, tables whose header is repeated on each page, and charts of bars, on A4 with numbered pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, cast

from fpdf import FPDF, XPos, YPos
from fpdf.enums import Align, MethodReturnValue
from fpdf.fonts import TTFFont

from moneyflow.platform import clock
from moneyflow.statements.writing.fonts import Drawable, Face, base, bold_path, drawable

LEFT, CENTERED, RIGHT = Align.L, Align.C, Align.R

#: Millimetres.
_MARGIN, _BOTTOM, _LINE, _WIDTH = 15.0, 18.0, 4.4, 180.0
_LABEL_WIDTH, _VALUE_WIDTH = 58.0, 32.0
#: Points.
_SMALL, _NORMAL, _LINES_OF_HEADING, _SECTION, _TITLE = 7, 8, 10, 11, 20
#: Lines of a cell; what follows is cut off.
_MOST_LINES = 4
_DARK, _GREY, _FAINT, _BAR = (28, 35, 48), (102, 112, 133), (242, 244, 247), (42, 157, 143)
_BOLD = "bold"


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, its width in millimetres, and where its texts are."""

    title: str
    width: float
    align: Align


class Place(NamedTuple):
    """Where a line of text is: its left end, its top and its width, in millimetres."""

    x: float
    y: float
    width: float


class Document(FPDF):
    """A PDF that is drawn from top to bottom."""

    def __init__(self, *, title: str, name: str) -> None:
        super().__init__(format="A4")
        self._title, self._name = title, name
        self._columns: Sequence[Column] = ()
        self._added: dict[str, None] = {}
        self.set_title(title)
        self.set_creator("Money Flow")
        self.set_creation_date(clock.now())
        self.set_margin(_MARGIN)
        self.set_auto_page_break(auto=False)
        self.add_font(_BOLD, "", bold_path())
        self._use(base(), _NORMAL)
        self.add_page()

    def output(self, *_: Any, **__: Any) -> bytes:  # type: ignore[override] # it is written to memory alone
        """Return the file."""
        return bytes(super().output())

    def close(self) -> None:
        """Close the files of the fonts, which the library leaves open; call it in the end."""
        for font in self.fonts.values():
            cast("TTFFont", font).ttfont.close()

    def header(self) -> None:
        """Begin a page; called by the library. Within a table the titles of its columns are repeated."""
        self.set_text_color(*_DARK)
        self.set_xy(_MARGIN, _MARGIN)
        if self._columns:
            self._titles()

    def footer(self) -> None:
        """End a page with its number; called by the library."""
        y = self.h - _BOTTOM + 4
        self.set_text_color(*_GREY)
        self._put(drawable(self._name), Place(_MARGIN, y, 70), LEFT, _SMALL)
        self._put(drawable(self._title), Place(_MARGIN + 70, y, 70), LEFT, _SMALL)
        self._put(drawable(f"Page {self.page_no()} of {{nb}}"), Place(_MARGIN + 140, y, 40), RIGHT, _SMALL)
        self.set_text_color(*_DARK)

    def heading(self, title: str, *lines: str) -> None:
        """Draw the title of the document, whose it is, and lines about it."""
        self._label(title, _TITLE, 11)
        for line in (self._name, *lines):
            self._put(drawable(line), Place(_MARGIN, self.get_y(), _WIDTH), LEFT, _LINES_OF_HEADING)
            self.set_y(self.get_y() + 5.5)

    def section(self, title: str) -> None:
        """Draw the title of a section, and keep some room for what follows it."""
        self._keep(30)
        self.set_y(self.get_y() + 5)
        self._label(title, _SECTION, 8)

    @contextmanager
    def rows_of(self, columns: Sequence[Column]) -> Iterator[None]:
        """Draw a table of the rows that the block adds."""
        self._columns = columns
        self._titles()
        yield
        self._columns = ()

    def row(self, texts: Sequence[str]) -> None:
        """Draw a row of the table; a text that is too long for its column takes several lines."""
        cells = [self._lines(text, column) for text, column in zip(texts, self._columns, strict=True)]
        height = max(map(len, cells)) * _LINE + 1
        self._keep(height)
        x, y = _MARGIN, self.get_y()
        for column, lines in zip(self._columns, cells, strict=True):
            for number, line in enumerate(lines):
                self._put(line, Place(x, y + 0.5 + number * _LINE, column.width), column.align)
            x += column.width
        self.set_draw_color(*_FAINT)
        self.line(_MARGIN, y + height, _MARGIN + _WIDTH, y + height)
        self.set_y(y + height)

    def chart(self, title: str, bars: Sequence[tuple[str, Decimal, str]]) -> None:
        """Draw a bar for each name, as long as its value is to the largest, with the value as text."""
        self._keep(18 + 7 * len(bars))
        self.section(title)
        largest = max(value for _, value, _ in bars)
        room = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
        for name, value, text in bars:
            y = self.get_y()
            label = self._lines(name, Column("", _LABEL_WIDTH, LEFT))[0]
            self._put(label, Place(_MARGIN, y + 0.6, _LABEL_WIDTH), LEFT)
            self.set_fill_color(*_BAR)
            length = max(room * float(value / largest), 0.3)
            self.rect(_MARGIN + _LABEL_WIDTH, y + 0.6, length, 4.8, style="F")
            self._put(drawable(text), Place(_MARGIN + _LABEL_WIDTH + length, y + 0.6, _VALUE_WIDTH), LEFT)
            self.set_y(y + 6.5)

    def _keep(self, height: float) -> None:
        """Begin a new page unless the height is left on this one."""
        if self.get_y() + height > self.h - _BOTTOM:
            self.add_page()

    def _titles(self) -> None:
        self.set_fill_color(*_FAINT)
        self.set_text_shaping(False)
        self.set_font(_BOLD, size=_NORMAL)
        for column in self._columns:
            self.cell(column.width, 6, column.title, align=column.align, fill=True)
        self.set_xy(_MARGIN, self.get_y() + 6)

    def _label(self, text: str, size: float, height: float) -> None:
        self.set_text_shaping(False)
        self.set_font(_BOLD, size=size)
        self.cell(_WIDTH, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _lines(self, text: str, column: Column) -> list[Drawable]:
        """Return a text in lines that fit into a column."""
        prepared = drawable(text)
        self._begin(prepared, _NORMAL)
        if self.get_string_width(prepared.text) <= column.width - 2 * self.c_margin:
            return [prepared]
        split = self.multi_cell(column.width, _LINE, prepared.text, dry_run=True, output=MethodReturnValue.LINES)
        lines = cast("list[str]", split)
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1][:-2]}…"]
        return [drawable(line) for line in lines]

    def _put(self, prepared: Drawable, place: Place, align: Align, size: float = _NORMAL) -> None:
        """Draw a line of text."""
        self._begin(prepared, size)
        self.set_xy(place.x, place.y)
        self.cell(place.width, _LINE, prepared.text, align=align)

    def _begin(self, prepared: Drawable, size: float) -> None:
        """Choose the fonts of a text."""
        for face in prepared.others:
            self._add(face)
        self._use(prepared.first, size)
        self.set_text_shaping(not prepared.is_simple)

    def _use(self, face: Face, size: float) -> None:
        self._add(face)
        self.set_font(face.name, size=size)

    def _add(self, face: Face) -> None:
        if face.name not in self._added:
            self._added[face.name] = None
            self.add_font(face.name, "", face.path)
            self.set_fallback_fonts(list(self._added), exact_match=False)
