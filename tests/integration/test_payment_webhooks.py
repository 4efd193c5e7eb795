"""Webhooks of Stripe: verified, taken once, and recorded in any order, before or after our own answer."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import falcon.testing
import pytest
from stripe import WebhookSignature

from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings, load_all
from tests.support import payments, people
from tests.support.api import Api, served
from workers.testing import Ran, run_jobs

_SECRET, _NEXT_SECRET = "whsec_the_first_secret", "whsec_the_next_secret"
_INTENT = "pi_3MtwBwLkdIwHu7ix28a3tqPa"


@pytest.fixture
def api(environment: dict[str, str], database: Database) -> Iterator[Api]:
    settings = load_all(environment | {"STRIPE_WEBHOOK_SECRET": f"{_SECRET}, {_NEXT_SECRET}"})
    with served(settings, database) as api:
        yield api


@pytest.fixture
def payment_id(database: Database) -> UUID:
    return payments.request(database, people.add(database)).id


def _event(kind: str, payment_id: UUID | str, *, id_: str = "evt_1", **fields: Any) -> str:
    """Return an event as Stripe writes it, as far as the product reads it."""
    thing = {"id": _INTENT, "object": "payment_intent", "metadata": {"payment_id": str(payment_id)}, **fields}
    if kind.startswith("charge."):
        thing |= {"id": "ch_1", "object": "charge", "payment_intent": _INTENT}
    return json.dumps({"id": id_, "object": "event", "type": kind, "data": {"object": thing}})


def _post(api: Api, content: str, *, secret: str = _SECRET, age: int = 0, signature: str | None = None) -> int:
    signed = WebhookSignature.generate_signature_header(content, secret, int(time.time()) - age)
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature or signed}
    answer = api.client.simulate_post("/v1/webhooks/stripe", body=content, headers=headers)
    assert isinstance(answer, falcon.testing.Result)
    return answer.status_code


def _run(database: Database, *gateways: object) -> list[Ran]:
    with database.transaction() as session:
        return run_jobs(session, kinds=["record_charge", "process_payment"], gateways=gateways)


def _jobs(database: Database) -> int:
    with database.transaction() as session:
        return len(session.fetch_all("select from jobs where kind = 'record_charge'"))


def test_a_webhook_is_answered_at_once_and_recorded_by_a_job(api: Api, database: Database, payment_id: UUID) -> None:
    assert _post(api, _event("payment_intent.succeeded", payment_id)) == 200

    assert payments.row(database, payment_id)["state"] == "pending"
    with database.transaction() as session:
        (ran,) = run_jobs(session, kinds=["record_charge"])
    assert ran.result == {"payment_id": str(payment_id), "state": "succeeded"}
    row = payments.row(database, payment_id)
    assert (row["state"], row["charge_id"]) == ("succeeded", _INTENT)
    assert [one["payment_id"] for one in payments.transactions(database)] == [payment_id]


def test_a_webhook_that_is_sent_again_does_nothing(api: Api, database: Database, payment_id: UUID) -> None:
    event = _event("payment_intent.succeeded", payment_id)

    assert [_post(api, event) for _ in range(3)] == [200] * 3

    assert _jobs(database) == 1


@pytest.mark.parametrize("secret", [_SECRET, _NEXT_SECRET])
def test_either_secret_is_taken_while_it_is_rotated(
    secret: str, api: Api, database: Database, payment_id: UUID
) -> None:
    assert _post(api, _event("payment_intent.succeeded", payment_id), secret=secret) == 200

    assert _jobs(database) == 1


def test_a_forged_webhook_is_refused(api: Api, database: Database, payment_id: UUID) -> None:
    event = _event("payment_intent.succeeded", payment_id)
    other = WebhookSignature.generate_signature_header(event + " ", _SECRET)

    answers = [_post(api, event, secret="whsec_of_a_stranger"), _post(api, event, signature=other)]
    answers += [
        _post(api, event, signature=forged) for forged in ("t=1", "v1=abc", "t=x,v1=abc", "nothing", "t=1,v0=a")
    ]

    assert answers == [401] * 7
    assert _jobs(database) == 0


def test_a_webhook_without_a_signature_is_refused(api: Api, database: Database, payment_id: UUID) -> None:
    answer = api.client.simulate_post("/v1/webhooks/stripe", json=json.loads(_event("charge.refunded", payment_id)))

    assert answer.status_code == 401
    assert _jobs(database) == 0


def test_a_stale_webhook_is_refused_and_one_of_a_minute_ago_is_not(
    api: Api, database: Database, payment_id: UUID
) -> None:
    stale = _post(api, _event("payment_intent.succeeded", payment_id), age=301)
    fresh = _post(api, _event("payment_intent.succeeded", payment_id), age=60)

    assert (stale, fresh) == (401, 200)
    assert _jobs(database) == 1


def test_without_a_secret_every_webhook_is_refused(settings: AllSettings, database: Database, payment_id: UUID) -> None:
    with served(settings, database) as api:
        assert _post(api, _event("payment_intent.succeeded", payment_id), secret="x") == 401


def test_a_webhook_that_comes_before_our_own_answer_leaves_one_transaction(
    api: Api, database: Database, payment_id: UUID
) -> None:
    provider = FakeProvider()
    _post(api, _event("payment_intent.succeeded", payment_id))
    with database.transaction() as session:
        run_jobs(session, kinds=["record_charge"])

    (ran, *_) = _run(database, provider)

    assert (ran.kind, ran.result) == ("process_payment", {"payment_id": str(payment_id), "state": "succeeded"})
    assert (len(payments.transactions(database)), provider.charges()) == (1, [])


def test_a_webhook_that_comes_after_our_own_answer_changes_nothing(
    api: Api, database: Database, payment_id: UUID
) -> None:
    _run(database, FakeProvider())
    before = payments.row(database, payment_id)

    _post(api, _event("payment_intent.succeeded", payment_id))
    _post(api, _event("payment_intent.payment_failed", payment_id, id_="evt_2"))
    ran = _run(database)

    assert len(ran) == 2
    assert payments.row(database, payment_id) == before
    assert len(payments.transactions(database)) == 1


def test_a_failed_intent_declines_its_payment(api: Api, database: Database, payment_id: UUID) -> None:
    error = {"code": "card_declined", "decline_code": "insufficient_funds"}

    _post(api, _event("payment_intent.payment_failed", payment_id, last_payment_error=error))
    with database.transaction() as session:
        run_jobs(session, kinds=["record_charge"])

    row = payments.row(database, payment_id)
    assert (row["state"], row["decline_code"]) == ("declined", "insufficient_funds")


def test_a_charge_that_is_reported_after_a_decline_counts(api: Api, database: Database, payment_id: UUID) -> None:
    _post(api, _event("payment_intent.payment_failed", payment_id))
    _run_reports(database)
    _post(api, _event("payment_intent.succeeded", payment_id, id_="evt_2"))
    _run_reports(database)

    row = payments.row(database, payment_id)
    assert (row["state"], row["decline_code"]) == ("succeeded", None)
    assert len(payments.transactions(database)) == 1


def _run_reports(database: Database) -> None:
    with database.transaction() as session:
        run_jobs(session, kinds=["record_charge"])


@pytest.mark.parametrize("order", [("payment_intent.succeeded", "charge.refunded"), ("charge.refunded",)])
def test_a_refund_in_the_dashboard_is_recorded_also_where_it_overtakes_the_charge(
    order: tuple[str, ...], api: Api, database: Database, payment_id: UUID
) -> None:
    for number, kind in enumerate(order):
        _post(api, _event(kind, payment_id, id_=f"evt_{number}", refunded=True))
        _run_reports(database)
    _post(api, _event("payment_intent.succeeded", payment_id, id_="evt_late"))
    _run_reports(database)

    assert payments.row(database, payment_id)["state"] == "refunded"
    assert [one["kind"] for one in payments.transactions(database)] == ["expense", "income"]


def test_a_refund_of_a_part_changes_nothing(api: Api, database: Database, payment_id: UUID) -> None:
    _post(api, _event("payment_intent.succeeded", payment_id))
    _post(api, _event("charge.refunded", payment_id, id_="evt_2", refunded=False))
    _run_reports(database)

    assert payments.row(database, payment_id)["state"] == "succeeded"


@pytest.mark.parametrize("other", ["", "no id", "<script>"])
def test_an_intent_that_is_none_of_ours_is_taken_and_left_alone(other: str, api: Api, database: Database) -> None:
    assert _post(api, _event("payment_intent.succeeded", other)) == 200

    assert _jobs(database) == 0


def test_a_payment_that_is_unknown_here_is_a_result(api: Api, database: Database) -> None:
    _post(api, _event("payment_intent.succeeded", new_id()))

    (ran,) = _run(database)

    assert ran.outcome == "succeeded"
    assert ran.result is not None
    assert ran.result["reason"] == "the payment does not exist"


@pytest.mark.parametrize("kind", ["customer.created", "charge.succeeded", "payment_intent.created"])
def test_an_event_about_something_else_is_taken_and_left_alone(
    kind: str, api: Api, database: Database, payment_id: UUID
) -> None:
    assert _post(api, _event(kind, payment_id)) == 200

    assert _jobs(database) == 0


@pytest.mark.parametrize("content", ["{}", "[]", '{"id": 1}', "null", '{"id": "a", "type": "b", "data": 1}', "no JSON"])
def test_what_is_signed_and_no_event_is_refused(content: str, api: Api) -> None:
    assert _post(api, content) == 422
