"""The conformance suite of payment providers: Stripe on stripe-mock, the sandbox, and that of unit tests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from moneyflow.gateways.payments import Charge, Charged, Declined, Refund, Refunded, RefundRefused
from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.ids import new_id
from tests.support.payment_providers import Bank, fake_bank, sandbox_bank, stripe_bank


@pytest.fixture(params=[sandbox_bank, stripe_bank, fake_bank], ids=["sandbox", "stripe", "fake"])
def bank(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[Bank]:
    with request.param(database, tmp_path) as made:
        yield made


def _order(source: str = "tok_ok", *, amount: str = "12.34", currency: str = "EUR") -> Charge:
    return Charge(payment_id=new_id(), key=new_id(), amount=Decimal(amount), currency=currency, source=source)


def _charged(bank: Bank, order: Charge) -> Charged:
    outcome = bank.provider.charge(order)
    assert isinstance(outcome, Charged)
    return outcome


def _refund(order: Charge, charged: Charged) -> Refund:
    return Refund(payment_id=order.payment_id, key=new_id(), charge_id=charged.charge_id)


def _counted(act: str, outcome: str) -> float:
    return sum(
        REGISTRY.get_sample_value(
            "moneyflow_payment_requests_total", {"provider": provider, "act": act, "outcome": outcome}
        )
        or 0
        for provider in ("sandbox", "stripe", "fake")
    )


def test_a_charge_takes_the_money_once_however_often_it_is_asked(bank: Bank) -> None:
    order = _order()

    outcomes = {_charged(bank, order) for _ in range(3)}

    assert (len(outcomes), bank.charges()) == (1, 1)


def test_each_key_is_a_charge_of_its_own(bank: Bank) -> None:
    first, second = _charged(bank, _order()), _charged(bank, _order())

    assert first.charge_id != second.charge_id
    assert bank.charges() == 2


def test_a_declined_payment_is_a_result_each_time(bank: Bank) -> None:
    order = _order("tok_declined")

    outcomes = [bank.provider.charge(order) for _ in range(2)]

    assert all(isinstance(outcome, Declined) and outcome.code for outcome in outcomes)
    assert (outcomes[0], bank.charges()) == (outcomes[1], 0)


def test_a_time_out_is_an_outage_and_the_next_request_is_charged_once(bank: Bank) -> None:
    order = _order("tok_timeout")

    with pytest.raises(UnavailableError):
        bank.provider.charge(order)
    assert bank.charges() == 0
    _charged(bank, order)

    assert bank.charges() == 1


def test_a_lost_answer_is_an_outage_and_the_next_request_returns_the_same_charge(bank: Bank) -> None:
    order = _order("tok_lost_answer")

    with pytest.raises(UnavailableError):
        bank.provider.charge(order)
    assert bank.charges() == 1
    first = _charged(bank, order)

    assert (_charged(bank, order), bank.charges()) == (first, 1)


@pytest.mark.parametrize("other", [{"amount": Decimal("12.35")}, {"currency": "USD"}, {"source": "tok_declined"}])
def test_the_same_key_with_another_request_is_refused_for_good(other: dict[str, object], bank: Bank) -> None:
    order = _order()
    _charged(bank, order)

    with pytest.raises(PermanentError, match="key"):
        bank.provider.charge(replace(order, **other))  # type: ignore[arg-type]

    assert bank.charges() == 1


def test_a_currency_that_the_provider_does_not_have_is_declined(bank: Bank) -> None:
    outcome = bank.provider.charge(_order(currency="DEM"))

    assert outcome == Declined("currency_not_supported")


def test_a_charge_is_found_by_its_payment_when_its_key_is_forgotten(bank: Bank) -> None:
    charged_one, declined_one = _order(), _order("tok_declined")
    charged = _charged(bank, charged_one)
    bank.provider.charge(declined_one)
    since = clock.now() - timedelta(days=2)

    found = [
        bank.provider.find(id_, since=since) for id_ in (charged_one.payment_id, declined_one.payment_id, new_id())
    ]

    assert found == [charged, None, None]


def test_a_refund_gives_the_money_back_once_however_often_and_under_which_key_it_is_asked(bank: Bank) -> None:
    order = _order()
    refund = _refund(order, _charged(bank, order))

    outcomes = [bank.provider.refund(one) for one in (refund, refund, replace(refund, key=new_id()))]

    assert outcomes == [Refunded()] * 3
    assert bank.refunds() == 1


def test_a_refund_of_what_was_never_charged_is_refused(bank: Bank) -> None:
    outcome = bank.provider.refund(Refund(payment_id=new_id(), key=new_id(), charge_id="pi_unknown"))

    assert isinstance(outcome, RefundRefused)
    assert outcome.code


def test_requests_are_counted_by_what_came_of_them(bank: Bank) -> None:
    expected = [("charge", "charged"), ("charge", "declined"), ("charge", "without_answer"), ("refund", "refunded")]
    before = [_counted(*one) for one in expected]
    order = _order()

    bank.provider.refund(_refund(order, _charged(bank, order)))
    bank.provider.charge(_order("tok_declined"))
    with pytest.raises(UnavailableError):
        bank.provider.charge(_order("tok_timeout"))

    assert [_counted(*one) - count for one, count in zip(expected, before, strict=True)] == [1, 1, 1, 1]


def test_many_threads_that_ask_with_one_key_are_charged_once(bank: Bank) -> None:
    order = _order()

    with ThreadPoolExecutor(8) as threads:
        outcomes = set(threads.map(lambda _: bank.provider.charge(order), range(16)))

    assert (len(outcomes), bank.charges()) == (1, 1)


def test_a_source_is_in_no_representation_of_an_order() -> None:
    assert "tok_ok" not in repr(_order())


def test_a_provider_may_be_closed_twice(bank: Bank) -> None:
    bank.provider.close()
    bank.provider.close()
