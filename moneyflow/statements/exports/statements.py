"""Statements: the transactions of an export's period, as the pieces of its file."""

from collections.abc import Callable, Iterator

from moneyflow.platform.database import Session
from moneyflow.platform.owner import OwnerScope
from moneyflow.statements.exports.exports import MOST_PDF_ROWS, TOO_LONG, ExportRefusedError, PendingExport
from moneyflow.statements.writing import csv_text, drawing, entries
from moneyflow.statements.writing.statement import Entry, Statement

#: Gets the number of transactions so far, that of all, and what they are.
Report = Callable[[float, float, str], object]


def pieces(session: Session, export: PendingExport, *, report: Report) -> Iterator[bytes]:
    """Yield the file of an export in its format, while its transactions are read.

    Raises:
        ExportRefusedError: transactions were added since the request, and there are too many for a PDF now.
    """
    assert export.period is not None, "a statement has a period"
    days = {"first_day": export.period.first, "last_day": export.period.last}
    scope = OwnerScope(session, export.user_id)
    total = entries.count(scope, **days)
    if export.format == "csv":
        yield from csv_text.pieces(_reported(entries.read(scope, **days), total, report))
        return
    if total > MOST_PDF_ROWS:
        raise ExportRefusedError(TOO_LONG)
    rows = tuple(entry for some in entries.read(scope, **days) for entry in some)
    session.commit()
    session.release()  # To draw takes a while, and needs no transaction.
    statement = Statement(name=export.user_name, entries=rows, **days)
    yield drawing.draw(statement, check=lambda: report(0, total, "transactions"))
    report(total, total, "transactions")


def _reported(read: Iterator[list[Entry]], total: int, report: Report) -> Iterator[list[Entry]]:
    done = 0
    for some in read:
        yield some
        done += len(some)
        report(done, total, "transactions")
