"""CSV of a statement: RFC 4180 in UTF-8, with a mark by which spreadsheets know the encoding.

SECURITY: spreadsheets run a cell as a formula that begins with = + - or @, also after spaces, and in a country whose
separator is the semicolon they split a cell there. Such a text gets an apostrophe, by which a spreadsheet shows it as
text (OWASP, CSV injection). An amount is a number, and stays one.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from moneyflow.money.amounts import write_amount
from moneyflow.money.texts import LONGEST_NOTE, LONGEST_TAG, MOST_TAGS
from moneyflow.platform.patterns import Pattern
from moneyflow.statements.writing.statement import Entry

HEADER = ("date", "amount", "currency", "category", "note", "tags", "kind", "id")
_TAG_SEPARATOR = ", "
#: Where a cell begins for some spreadsheet, before what it runs as a formula; full-width forms too.
_FORMULA = Pattern(
    r"(^|[,;|\t\r\n])(?=[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20])",
    longest=max(LONGEST_NOTE, MOST_TAGS * (LONGEST_TAG + len(_TAG_SEPARATOR))),
)


def pieces(entries: Iterable[list[Entry]]) -> Iterator[bytes]:
    """Yield the file, some lines at a time."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    text.write("\ufeff")
    writer.writerow(HEADER)
    for some in entries:
        writer.writerows(map(_cells, some))
        yield _taken(text)
    yield _taken(text)


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.date.isoformat(),
        write_amount(entry.signed_amount),
        entry.currency,
        _safe(entry.category),
        _safe(entry.note),
        _safe(_TAG_SEPARATOR.join(entry.tags)),
        entry.kind,
        str(entry.id),
    )


def _safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return _FORMULA.sub(lambda found: f"{found[1]}'", text)


def _taken(text: io.StringIO) -> bytes:
    """Return what was written, and forget it."""
    taken = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return taken
