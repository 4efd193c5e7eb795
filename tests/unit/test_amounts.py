"""Amounts: exact decimals above zero, with the decimals of their currency, and no other text."""

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moneyflow.money.amounts import read_amount, write_amount
from moneyflow.money.currencies import DECIMALS
from moneyflow.platform.errors import InvalidInputError

_often = settings(max_examples=300, deadline=None, database=None)
_currencies = st.sampled_from(sorted(DECIMALS))


@st.composite
def _amounts(draw: st.DrawFn, currencies: st.SearchStrategy[str] = _currencies) -> tuple[str, str]:
    """Draw an amount of a currency as a client may write it, with as many decimals as the currency has or fewer."""
    currency = draw(currencies)
    whole = draw(st.integers(min_value=0, max_value=10**15 - 1))
    fraction = draw(st.text("0123456789", max_size=DECIMALS[currency]))
    text = f"{whole}.{fraction}" if fraction else str(whole)
    return text, currency


@given(_amounts())
@example(("0.01", "EUR"))
@example(("1", "JPY"))
@example(("0.001", "KWD"))
@example(("999999999999999.99", "EUR"))
@_often
def test_every_amount_comes_back_exactly_with_the_decimals_of_its_currency(written: tuple[str, str]) -> None:
    text, currency = written
    if not Decimal(text):
        with pytest.raises(InvalidInputError, match="above zero"):
            read_amount(text, currency)
        return

    read = read_amount(text, currency)
    shown = write_amount(read)

    assert read == Decimal(text)
    assert len(shown.partition(".")[2]) == DECIMALS[currency]
    assert read_amount(shown, currency) == read


@given(st.lists(_amounts(st.just("EUR")).filter(lambda written: bool(Decimal(written[0])))))
@_often
def test_amounts_add_up_without_a_lost_cent(written: list[tuple[str, str]]) -> None:
    cents = sum(int(Decimal(text) * 100) for text, _ in written)

    total = sum((read_amount(text, currency) for text, currency in written), Decimal(0))

    assert int(total * 100) == cents


@pytest.mark.parametrize(
    "text",
    [
        "1e3", "1E3", "NaN", "nan", "Infinity", "+5", "-5", " 5", "5 ", "5\n", "", ".", ".5", "5.", "05", "00.5", "1,5",
        "1_000", "1'000", "0x10", "\u0665", "\uff15", "1.2.3", "1000000000000000", "0.00001", "5 EUR", "5\u00a0", "½",
    ],
)  # fmt: skip
def test_no_other_text_is_an_amount(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_amount(text, "CLF")

    assert [pointer for pointer, _ in refused.value.errors] == ["/amount"]


@pytest.mark.parametrize(
    ("text", "currency", "problem"),
    [
        ("12.345", "EUR", "must have at most 2 decimals: EUR has no more"),
        ("1.0", "JPY", "must have at most 0 decimals: JPY has no more"),
        ("1.0001", "KWD", "must have at most 3 decimals: KWD has no more"),
        ("0.00", "EUR", "must be above zero; the kind says whether it is income or an expense"),
        ("0", "JPY", "must be above zero; the kind says whether it is income or an expense"),
    ],
)
def test_an_amount_that_its_currency_does_not_have_is_refused(text: str, currency: str, problem: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_amount(text, currency)

    assert refused.value.errors == (("/amount", problem),)


@given(st.text().filter(lambda text: text not in DECIMALS))
@example("eur")
@example("EURO")
@example("XXX")
@_often
def test_no_other_text_is_a_currency(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_amount("1", text)

    assert [pointer for pointer, _ in refused.value.errors] == ["/currency"]
