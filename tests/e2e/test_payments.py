"""Payments by real workers that die and on answers that are lost: each is charged once, and both ledgers are the same.

The short form runs with `make test`; `make acceptance ARGS=payments` runs 10,000 payments through the sandbox, and 200
through a proxy to stripe-mock, and keeps what came of them.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from moneyflow.payments import payments as use_case
from moneyflow.payments.payments import PaymentOrder
from moneyflow.platform.database import Database
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from tests.support import payments, people
from tests.support.killer import Killer
from tests.support.payment_providers import stripe_settings
from tests.support.processes import Processes
from tests.support.stripe import Recorded, Stripe, running_stripe_mock, stripe_before
from tests.support.waiting import eventually

#: After each of them a crash leaves something else behind.
_POINTS = [
    ("tok_ok", "session.before_commit", 1),
    ("tok_ok", "session.after_commit", 1),
    ("tok_ok", "worker.before_charge", 1),
    ("tok_ok", "worker.charged", 1),
    ("tok_ok", "worker.payment_decided", 1),
    ("tok_ok", "worker.before_finish", 1),
    ("tok_ok", "worker.finished", 1),
    ("tok_timeout", "worker.before_charge", 2),
    ("tok_lost_answer", "worker.charged", 1),
    ("tok_declined", "worker.charged", 1),
]
#: Seconds between two kills of the long form; the payments of the short form are done sooner.
_KILL_SECONDS, _SHORT = 2.0, 100
_CURRENCIES = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
_SOURCES = ["tok_ok"] * 14 + ["tok_declined", "tok_timeout", "tok_lost_answer"] * 2
_STATES = {"tok_declined": "declined"}


@pytest.fixture
def user_id(database: Database) -> UUID:
    """Return a user whose address bounces: the mail server is not what these tests are about."""
    user_id = people.add(database)
    with database.transaction() as session:
        session.execute(
            "update users set email = %(email)s where id = %(id)s",
            {"id": user_id, "email": f"{user_id.hex}@bounce.example"},
        )
    return user_id


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Stripe]:
    with running_stripe_mock(tmp_path) as mock_port, stripe_before(mock_port) as stripe:
        yield stripe


def _until_decided(database: Database, ids: list[UUID], *, seconds: float = 60) -> None:
    """Wait until no payment is pending, and no job of theirs is left to run."""

    def undecided() -> int:
        with database.transaction() as session:
            rows = session.fetch_all(
                "select from payments where id = any(%(ids)s) and state = 'pending' union all select from jobs where "
                "kind in ('process_payment', 'refund_payment') and state in ('scheduled', 'queued', 'running')",
                {"ids": ids},
            )
            return len(rows)

    eventually(lambda: undecided() == 0, seconds=seconds, what="every payment is decided")


def _orders(count: int, seed: int) -> list[PaymentOrder]:
    """Return payments of all sources, currencies and sizes."""
    dice = random.Random(seed)
    orders = []
    for _ in range(count):
        currency, decimals = dice.choice(list(_CURRENCIES.items()))
        amount = f"{dice.randrange(1, 10**7) / 10**decimals:.{decimals}f}"
        source = dice.choice(_SOURCES)
        orders.append(PaymentOrder(amount=amount, currency=currency, description="", category_id=None, source=source))
    return orders


def _request(database: Database, user_id: UUID, orders: list[PaymentOrder]) -> dict[UUID, str]:
    """Request each payment, and return the state that it has to come to."""
    expected = {}
    for start in range(0, len(orders), 100):
        with database.transaction() as session:
            for order in orders[start : start + 100]:
                requested = use_case.request(OwnerScope(session, user_id), order)
                expected[requested.id] = _STATES.get(order.source, "succeeded")
    return expected


def _states(database: Database) -> dict[UUID, str]:
    with database.transaction() as session:
        return {row["id"]: row["state"] for row in session.fetch_all("select id, state from payments")}


@pytest.mark.parametrize(("source", "point", "count"), _POINTS)
def test_a_payment_whose_worker_is_killed_at_a_named_point_is_charged_once(
    source: str, point: str, count: int, platform: AllSettings, database: Database, processes: Processes, user_id: UUID
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage=f"dies_at:{point}:{count}", wait_ready=False)
    requested = payments.request(database, user_id, source)
    dying.wait()

    processes.worker(wait_ready=False)
    _until_decided(database, [requested.id])

    assert f"dies at {point}" in dying.log()
    assert payments.row(database, requested.id)["state"] == _STATES.get(source, "succeeded")
    ours = payments.charged_by_us(database)
    assert ours == payments.charged_by_sandbox(database)
    assert len(ours) == (source != "tok_declined")


def test_without_the_key_of_the_first_job_a_worker_that_dies_after_the_charge_charges_twice(
    platform: AllSettings, database: Database, processes: Processes, user_id: UUID
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage="charges_under_new_keys+dies_at:worker.charged:1", wait_ready=False)
    requested = payments.request(database, user_id)
    dying.wait()

    processes.worker(sabotage="charges_under_new_keys", wait_ready=False)
    _until_decided(database, [requested.id])

    assert payments.charged_twice(database) == 1


@pytest.mark.parametrize("point", ["session.before_commit", "worker.refunded", "worker.before_finish"])
def test_a_refund_whose_worker_is_killed_at_a_named_point_is_done_once(
    point: str, platform: AllSettings, database: Database, processes: Processes, user_id: UUID
) -> None:
    payment_id = payments.charged_in_sandbox(database, user_id)
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage=f"dies_at:{point}:1", wait_ready=False)
    with database.transaction() as session:
        use_case.request_refund(OwnerScope(session, user_id), payment_id)
    dying.wait()

    processes.worker(wait_ready=False)
    _until_decided(database, [payment_id])

    assert payments.row(database, payment_id)["state"] == "refunded"
    assert [one["kind"] for one in payments.transactions(database)] == ["expense", "income"]
    assert payments.refunded_by_us(database) == payments.refunded_by_sandbox(database) == {payment_id}


@pytest.mark.timeout(1800)
def test_after_declines_time_outs_lost_answers_and_kills_the_providers_ledger_is_ours(
    platform: AllSettings, database: Database, processes: Processes, user_id: UUID, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("--payments")
    seconds = 60 + count / 10
    processes.relay(wait_ready=False)
    workers = [processes.worker(wait_ready=False) for _ in range(2)]

    with Killer(workers, seconds=_KILL_SECONDS if count > _SHORT else 0.5, seed=1, most=3 + count // 100) as killer:
        expected = _request(database, user_id, _orders(count, seed=1))
        _until_decided(database, list(expected), seconds=seconds)
        refunds = [id_ for id_, state in expected.items() if state == "succeeded"][::10]
        with database.transaction() as session:
            for payment_id in refunds:
                use_case.request_refund(OwnerScope(session, user_id), payment_id)
        _until_decided(database, list(expected), seconds=seconds)

    expected |= dict.fromkeys(refunds, "refunded")
    ours, theirs = payments.charged_by_us(database), payments.charged_by_sandbox(database)
    assert _states(database) == expected
    assert ours == theirs, "one by one"
    assert payments.sums(ours) == payments.sums(theirs), "and by the sum of each currency"
    assert set(ours) == {id_ for id_, state in expected.items() if state != "declined"}
    assert payments.refunded_by_us(database) == payments.refunded_by_sandbox(database) == set(refunds)
    assert killer.kills.total() > 0
    requests = payments.requests_to_sandbox(database)
    assert max(requests) > 1, "some were repeated"
    _keep(
        pytestconfig,
        "sandbox",
        {
            "payments": count,
            "states": dict(Counter(expected.values())),
            "workers_killed": killer.kills.total(),
            "requests_to_the_provider": sum(requests),
            "charged_twice": payments.charged_twice(database),
            "sums_of_both_ledgers": {name: str(total) for name, total in sorted(payments.sums(ours).items())},
        },
    )


@pytest.mark.timeout(900)
def test_through_a_proxy_that_loses_answers_each_payment_is_the_same_request_each_time_and_charged_once(
    platform: AllSettings,
    database: Database,
    processes: Processes,
    user_id: UUID,
    stripe: Stripe,
    pytestconfig: pytest.Config,
) -> None:
    count = pytestconfig.getoption("--stripe-payments")
    stripe.is_unheard = lambda one: _fate(one) < 0.2
    stripe.is_lost = lambda one: 0.2 <= _fate(one) < 0.5
    processes.relay(wait_ready=False)
    workers = [processes.worker(wait_ready=False, **stripe_settings(stripe)) for _ in range(2)]

    orders = [PaymentOrder(amount=f"{n}.50", currency="EUR", description="", category_id=None, source="pm_card_visa")
              for n in range(1, count + 1)]  # fmt: skip
    with Killer(workers, seconds=_KILL_SECONDS, seed=1, most=1 + count // 40) as killer:
        expected = _request(database, user_id, orders)
        _until_decided(database, list(expected), seconds=60 + count)

    sent = stripe.charges_sent()
    by_key: dict[str | None, list[Recorded]] = {}
    for request in sent:
        by_key.setdefault(request.key, []).append(request)
    rows = [payments.row(database, payment_id) for payment_id in expected]
    assert {row["state"] for row in rows} == {"succeeded"}
    assert by_key.keys() == {str(row["job_id"]) for row in rows}, "each payment has its own key"
    assert all(len({one.body for one in requests}) == 1 for requests in by_key.values()), "and always the same body"
    assert len(sent) > count, "some were repeated"
    assert {id_: charge["payment_id"] for id_, charge in stripe.charges.items()} == {
        row["charge_id"]: str(row["id"]) for row in rows
    }
    assert len(payments.transactions(database)) == count
    _keep(
        pytestconfig,
        "stripe",
        {
            "payments": count,
            "charge_requests": len(sent),
            "most_requests_of_one_payment": max(map(len, by_key.values())),
            "payments_with_another_key_or_body": len({(one.key, one.body) for one in sent}) - count,
            "workers_killed": killer.kills.total(),
            "charges": len(stripe.charges),
            "charged_twice": len(stripe.charges) - len({one["payment_id"] for one in stripe.charges.values()}),
        },
    )


def test_a_worker_that_dies_after_stripe_has_charged_finds_the_same_charge(
    platform: AllSettings, database: Database, processes: Processes, user_id: UUID, stripe: Stripe
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage="dies_at:worker.charged:1", wait_ready=False, **stripe_settings(stripe))
    requested = payments.request(database, user_id, "pm_card_visa", amount="5.120", currency="KWD")
    dying.wait()

    processes.worker(wait_ready=False, **stripe_settings(stripe))
    _until_decided(database, [requested.id])

    first, second = stripe.charges_sent()
    assert (first.key, first.body) == (second.key, second.body)
    assert first.form["amount"] == "5120"
    assert list(stripe.charges) == [payments.row(database, requested.id)["charge_id"]]


def _fate(request: Recorded) -> float:
    """Return a number from 0 to 1 that decides what becomes of a request; from the fourth on, nothing happens to it."""
    return random.Random(f"{request.key}/{request.number}").random() if request.number < 4 else 1.0


def _keep(config: pytest.Config, name: str, figures: dict[str, Any]) -> None:
    """Write the figures next to the result, when a folder for it is given."""
    if folder := config.getoption("--payments-results"):
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
