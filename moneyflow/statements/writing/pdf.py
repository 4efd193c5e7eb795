"""PDF of a statement: totals by currency and by category, a chart, and all transactions in a table over the pages."""

from contextlib import closing

from moneyflow.platform import clock
from moneyflow.statements.writing.page import CENTERED, LEFT, RIGHT, Column, Document
from moneyflow.statements.writing.statement import Entry, Statement
from moneyflow.statements.writing.totals import Totals, totals_of

#: Bars of a chart; what is smaller is one bar together.
_MOST_BARS = 10
#: Currencies that get a chart: those with the most transactions.
_MOST_CHARTS = 3
_UNNAMED = "without a category"

_BY_CURRENCY = (
    Column("Currency", 26, LEFT), Column("Transactions", 32, RIGHT), Column("Income", 40, RIGHT),
    Column("Expenses", 40, RIGHT), Column("Net", 42, RIGHT),
)  # fmt: skip
_BY_CATEGORY = (
    Column("Category", 78, LEFT), Column("Currency", 22, CENTERED), Column("Income", 40, RIGHT),
    Column("Expenses", 40, RIGHT),
)  # fmt: skip
_TRANSACTIONS = (
    Column("Date", 20, LEFT), Column("Category", 42, LEFT), Column("Note", 74, LEFT), Column("Amount", 32, RIGHT),
    Column("", 12, LEFT),
)  # fmt: skip


def document(statement: Statement) -> bytes:
    """Return the PDF.

    Raises:
        UnavailableError: the fonts are not installed.
    """
    with closing(Document(title=_title(statement), name=statement.name)) as page:
        draw(page, statement)
        return page.output()


def draw(page: Document, statement: Statement) -> None:
    """Draw a statement into a new document."""
    page.heading("Statement", _period(statement), f"made on {clock.now():%Y-%m-%d}")
    totals = totals_of(statement.entries)
    _totals(page, totals)
    for currency in totals.currencies[:_MOST_CHARTS]:
        bars = totals.largest_expenses(currency, limit=_MOST_BARS, other="all others", unnamed=_UNNAMED)
        if bars:
            page.chart(f"Expenses by category, {currency}", [(name, value, f"{value:,f}") for name, value in bars])
    page.section("Transactions")
    with page.rows_of(_TRANSACTIONS):
        for entry in statement.entries:
            page.row(_cells(entry))


def _title(statement: Statement) -> str:
    return f"Statement {_period(statement)}"


def _period(statement: Statement) -> str:
    return f"{statement.first_day} to {statement.last_day}"


def _totals(page: Document, totals: Totals) -> None:
    page.section("Totals by currency")
    with page.rows_of(_BY_CURRENCY):
        for currency in totals.currencies:
            income, expense = totals.income[currency], totals.expense[currency]
            numbers = (f"{income:,f}", f"{expense:,f}", f"{income - expense:,f}")
            page.row((currency, f"{totals.count[currency]:,}", *numbers))
    page.section("Totals by category")
    with page.rows_of(_BY_CATEGORY):
        for category, currency, income, expense in totals.by_category():
            page.row((category or _UNNAMED, currency, f"{income:,f}", f"{expense:,f}"))


def _cells(entry: Entry) -> tuple[str, ...]:
    tags = " ".join(f"#{tag}" for tag in entry.tags)
    note = " ".join(f"{entry.note} {tags}".split())
    return (entry.date.isoformat(), entry.category, note, f"{entry.signed_amount:,f}", entry.currency)
