"""Amounts in Stripe's minor units: by Stripe's own rules, and never rounded."""

from decimal import Decimal

import pytest

from moneyflow.gateways.payments.minor_units import minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.34", "EUR", 1234),
        ("0.01", "USD", 1),
        ("500", "JPY", 500),
        ("1500", "KRW", 1500),
        ("3", "MGA", 3),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("10.45", "HUF", 1045),
        ("800.45", "TWD", 80045),
        ("5.120", "KWD", 5120),
        ("0.010", "BHD", 10),
        ("999999999999.99", "EUR", 99999999999999),
    ],
)
def test_an_amount_is_sent_as_stripe_counts_it(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize(
    ("amount", "currency"), [("5.124", "KWD"), ("1.5", "MGA"), ("1.5", "ISK"), ("0.001", "EUR"), ("0.5", "JPY")]
)
def test_what_stripe_could_only_charge_rounded_is_not_charged(amount: str, currency: str) -> None:
    assert minor_units(Decimal(amount), currency) is None
