"""Books: what people write down of their money, what they pay, and the sums that must come of it."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import httpx

from ops.dev.demo.people import Person
from ops.dev.demo.statements import expected_imports, expected_rows, sample_of

#: The decimals of an amount in each currency: of the standard, and not of the code that is watched here.
DECIMALS = {"EUR": 2, "JPY": 0, "KWD": 3}
_DAY = "2026-02-28"

#: Sends a request of a visit and returns its answer, which has the named status.
Send = Callable[..., Awaitable[httpx.Response]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a person earns, spends and pays, all in one currency."""

    currency: str
    salary: Decimal
    groceries: Decimal
    payment: Decimal
    source: str

    @classmethod
    def of(cls, person: Person) -> "Plan":
        """Return the plan of a person: some cards are declined, and some answers of the provider are lost."""
        number = person.number
        currency = list(DECIMALS)[number % len(DECIMALS)]
        unit = Decimal(1).scaleb(-DECIMALS[currency])
        return cls(
            currency=currency,
            salary=(20_000 + 37 * number) * unit,
            groceries=(900 + number) * unit,
            payment=(100 + 3 * number) * unit,
            source=_source(number),
        )

    def is_paid(self) -> bool:
        """Return whether the payment succeeds in the end."""
        return self.source != "tok_declined"

    def answers_lost(self) -> bool:
        """Return whether the provider gives no answer at first."""
        return self.source in {"tok_timeout", "tok_lost_answer"}


@dataclass
class Books:
    """The books that people keep."""

    #: The numbers of the people whose payment was accepted.
    paying: set[int] = field(default_factory=set)

    async def keep(self, person: Person, bearer: dict[str, str], send: Send) -> tuple[str, str]:
        """Keep the books of a person, and pay; return the path of a transaction, and an outdated `ETag` of it.

        There are two categories, an income, an expense that is corrected, and one that is deleted.
        """

        async def create(path: str, body: dict[str, str], status: int = 201) -> httpx.Response:
            return await send(status, "POST", path, {**bearer, "Idempotency-Key": secrets.token_hex(16)}, body)

        plan = Plan.of(person)
        categories = {
            kind: (await create("/v1/categories", {"name": name, "kind": kind, "color": color})).json()["id"]
            for kind, name, color in (("income", "Salary", "#2e7d32"), ("expense", "Food", "#c62828"))
        }

        async def enter(kind: str, amount: Decimal) -> httpx.Response:
            fields = {"kind": kind, "amount": f"{amount:f}", "currency": plan.currency, "date": _DAY}
            return await create("/v1/transactions", {**fields, "category_id": categories[kind]})

        await enter("income", plan.salary)
        corrected = await enter("expense", plan.groceries * 10)
        needless = await enter("expense", plan.groceries)
        path, outdated = f"/v1/transactions/{corrected.json()['id']}", corrected.headers["ETag"]
        await send(200, "PATCH", path, {**bearer, "If-Match": outdated}, {"amount": f"{plan.groceries:f}"})
        deleted = f"/v1/transactions/{needless.json()['id']}"
        await send(204, "DELETE", deleted, {**bearer, "If-Match": needless.headers["ETag"]})
        fields = {"amount": f"{plan.payment:f}", "currency": plan.currency, "description": "Groceries"}
        order = {**fields, "category_id": categories["expense"], "source": plan.source}
        await create("/v1/payments", order, 202)
        self.paying.add(person.number)
        return path, outdated


@dataclass(frozen=True, kw_only=True)
class ExpectedBooks:
    """What the books of all these people come to."""

    people: int
    paid: int
    lost_answers: int
    income: dict[str, Decimal]
    expense: dict[str, Decimal]
    charged: dict[str, Decimal]
    #: Rows of the statements, by what comes of them.
    rows: Counter[str]
    imports: int

    @classmethod
    def of(cls, people: Sequence[Person]) -> "ExpectedBooks":
        """Add up the plans, and what the statements add."""
        plans = [Plan.of(person) for person in people]
        paid = [plan for plan in plans if plan.is_paid()]
        charged = _sums((plan.currency, plan.payment) for plan in paid)
        groceries = _sums((plan.currency, plan.groceries) for plan in plans)
        samples = [sample_of(person) for person in people]
        salaries = [(plan.currency, plan.salary) for plan in plans]
        return cls(
            people=len(plans),
            paid=len(paid),
            lost_answers=sum(plan.answers_lost() for plan in plans),
            income=_sums([*salaries, *((sample.currency, sample.income) for sample in samples)]),
            expense=_sums(
                [*groceries.items(), *charged.items(), *((sample.currency, sample.expense) for sample in samples)]
            ),
            charged=charged,
            rows=expected_rows(people),
            imports=expected_imports(people),
        )

    @property
    def payments(self) -> dict[str, int]:
        """Return the number of payments by state."""
        return {"succeeded": self.paid, "declined": self.people - self.paid}

    @property
    def events(self) -> dict[str, int]:
        """Return the number of events by type; payments that succeed and rows of statements are transactions too."""
        return {
            "category.created": 2 * self.people,
            "transaction.created": 3 * self.people + self.paid + self.rows["added"],
            "transaction.updated": self.people,
            "transaction.deleted": self.people,
        }


def _source(number: int) -> str:
    if number % 10 == 3:  # noqa: PLR2004 - any would do
        return "tok_declined"
    return {7: "tok_lost_answer", 12: "tok_timeout"}.get(number % 25, "tok_ok")


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in amounts:
        found[currency] += amount
    return dict(found)
