"""Currencies: those of ISO 4217 and of earlier years, each with its own number of decimals."""

from pathlib import Path

import orjson
import pytest
from iso4217 import Currency

from moneyflow.money.currencies import DECIMALS, decimals_of

_FROZEN = Path(__file__).parents[1] / "contracts" / "currencies.json"


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("IQD", 3), ("CLF", 4), ("HUF", 2), ("ISK", 0)],
)
def test_a_currency_has_the_decimals_of_the_standard(currency: str, decimals: int) -> None:
    assert decimals_of(currency) == decimals


@pytest.mark.parametrize(("currency", "decimals"), [("DEM", 2), ("ITL", 0), ("HRK", 2), ("BGN", 2), ("TRL", 0)])
def test_books_of_earlier_years_are_kept_in_currencies_that_were_withdrawn(currency: str, decimals: int) -> None:
    assert decimals_of(currency) == decimals
    assert currency not in {one.code for one in Currency}, "it is a currency of today; take another one"


@pytest.mark.parametrize("text", ["", "eur", "EURO", "EU", "XAU", "XXX", "XTS", "XDR", "BTC", "€"])
def test_metals_units_of_account_and_other_texts_are_no_currencies(text: str) -> None:
    with pytest.raises(ValueError, match="must be a currency of ISO 4217 in three capital letters, such as EUR"):
        decimals_of(text)


def test_an_upgrade_of_the_libraries_takes_no_currency_and_changes_no_decimals_unseen() -> None:
    """Stored amounts keep the decimals of their currency: a change needs a decision, and then a new frozen file."""
    frozen = orjson.loads(_FROZEN.read_bytes())

    assert frozen.items() <= DECIMALS.items()
    assert len(frozen) > 250
