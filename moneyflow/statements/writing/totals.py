"""Totals of a statement: income and expenses by currency and by category; currencies are never added."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from moneyflow.statements.writing.statement import Entry

_Sums = Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The sums of each currency, and of each category and currency; the currency with the most transactions first."""

    currencies: tuple[str, ...]
    count: Mapping[str, int]
    income: _Sums
    expense: _Sums
    #: By category and currency.
    category_income: Mapping[tuple[str, str], Decimal]
    category_expense: Mapping[tuple[str, str], Decimal]

    def by_category(self) -> Iterator[tuple[str, str, Decimal, Decimal]]:
        """Yield category, currency, income and expense, by name; what has no category comes last."""
        keys = self.category_income.keys() | self.category_expense.keys()
        for key in sorted(keys, key=lambda one: (not one[0], one)):
            zero = self.income[key[1]] * 0  # With the decimals of the currency.
            yield *key, self.category_income.get(key, zero), self.category_expense.get(key, zero)

    def largest_expenses(self, currency: str, *, limit: int, other: str, unnamed: str) -> list[tuple[str, Decimal]]:
        """Return the categories with the largest expenses, and those beyond the limit added up."""
        sums = [(name or unnamed, value) for (name, of), value in self.category_expense.items() if of == currency]
        ordered = sorted(sums, key=lambda one: (-one[1], one[0]))
        if len(ordered) <= limit:
            return ordered
        rest = sum((value for _, value in ordered[limit - 1 :]), Decimal())
        return [*ordered[: limit - 1], (other, rest)]


def totals_of(entries: Iterable[Entry]) -> Totals:
    """Return the totals of entries."""
    count: Counter[str] = Counter()
    sums: dict[str, dict[str, Decimal]] = {"income": {}, "expense": {}}
    by_category: dict[str, dict[tuple[str, str], Decimal]] = defaultdict(dict)
    for entry in entries:
        count[entry.currency] += 1
        for kind, amount in ((entry.kind, entry.amount), (_other(entry.kind), entry.amount * 0)):
            sums[kind][entry.currency] = sums[kind].get(entry.currency, amount * 0) + amount
        of_kind, key = by_category[entry.kind], (entry.category, entry.currency)
        of_kind[key] = of_kind.get(key, entry.amount * 0) + entry.amount
    return Totals(
        currencies=tuple(sorted(count, key=lambda currency: (-count[currency], currency))),
        count=count,
        income=sums["income"],
        expense=sums["expense"],
        category_income=by_category["income"],
        category_expense=by_category["expense"],
    )


def _other(kind: str) -> str:
    return "expense" if kind == "income" else "income"
