"""What Stripe's refusals mean: a result of the payment, an outage, or a fault of our request; never with a source."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from moneyflow.gateways.payments import Charge, Charged, Declined
from moneyflow.gateways.payments.settings import PaymentSettings
from moneyflow.gateways.payments.stripe import StripeProvider
from moneyflow.platform.errors import InProgressError, MoneyFlowError, PermanentError, UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.settings import load

_SOURCE = "pm_a_source_of_a_person"
_DECIDED: dict[str, object] = {"id": "pi_1", "object": "payment_intent", "status": "succeeded"}


@contextmanager
def _stripe(*answers: tuple[int, dict[str, object]]) -> Iterator[StripeProvider]:
    """Answer each request with the next of these, as Stripe would."""
    left = list(answers)

    def application(_: object, start: object) -> list[bytes]:
        status, body = left.pop(0)
        start(f"{status} X", [("Content-Type", "application/json")])  # type: ignore[operator]
        return [json.dumps(body).encode()]

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    environment = {
        "PAYMENT_PROVIDER": "stripe",
        "STRIPE_API_KEY": "sk_test_1",
        "STRIPE_API_BASE": f"http://127.0.0.1:{server.server_port}",
    }
    provider = StripeProvider(load(PaymentSettings, environment))
    try:
        yield provider
    finally:
        provider.close()
        server.shutdown()
        server.server_close()
        thread.join(10)


def _order(**changed: str) -> Charge:
    fields = {"currency": "EUR", "source": _SOURCE, **changed}
    return Charge(payment_id=new_id(), key=new_id(), amount=Decimal("12.340"), **fields)


def _error(status: int, **fields: str) -> tuple[int, dict[str, object]]:
    return status, {"error": {"message": f"No such PaymentMethod: '{_SOURCE}'", **fields}}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (_error(402, type="card_error", code="card_declined", decline_code="insufficient_funds"), "insufficient_funds"),
        (_error(402, type="card_error", code="expired_card"), "expired_card"),
        (_error(402, type="card_error", code="authentication_required"), "authentication_required"),
        (_error(400, type="invalid_request_error", code="amount_too_small"), "amount_too_small"),
        (_error(400, type="invalid_request_error", code="resource_missing"), "resource_missing"),
        (_error(400, type="invalid_request_error", param="currency"), "currency_not_supported"),
        ((200, {**_DECIDED, "status": "requires_payment_method"}), "requires_payment_method"),
    ],
)
def test_a_refusal_of_the_payment_is_its_result(answer: tuple[int, dict[str, object]], code: str) -> None:
    with _stripe(answer) as provider:
        assert provider.charge(_order()) == Declined(code)


def test_an_amount_that_would_be_rounded_is_declined_without_a_request() -> None:
    with _stripe() as provider:
        order = _order(currency="JPY")

        assert provider.charge(order) == Declined("amount_not_chargeable")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (_error(401, type="invalid_request_error"), UnavailableError),
        (_error(403, type="invalid_request_error"), UnavailableError),
        (_error(429, type="rate_limit_error"), UnavailableError),
        (_error(500, type="api_error"), UnavailableError),
        (_error(503, type="api_error"), UnavailableError),
        (_error(409, type="idempotency_error", code="idempotency_key_in_use"), InProgressError),
        (_error(400, type="idempotency_error"), PermanentError),
        (_error(400, type="invalid_request_error", code="parameter_unknown"), PermanentError),
        (_error(400, type="invalid_request_error"), PermanentError),
    ],
)
def test_what_says_nothing_about_the_payment_is_an_error_without_the_source(
    answer: tuple[int, dict[str, object]], kind: type[MoneyFlowError]
) -> None:
    with _stripe(answer) as provider, pytest.raises(kind) as caught:
        provider.charge(_order())

    assert _SOURCE not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_charge_that_stripe_has_not_decided_is_asked_for_by_its_id() -> None:
    undecided: dict[str, object] = {**_DECIDED, "status": "processing"}

    with _stripe((200, undecided), (200, _DECIDED)) as provider:
        assert provider.charge(_order()) == Charged("pi_1")
    with _stripe((200, undecided), (200, undecided)) as provider, pytest.raises(InProgressError):
        provider.charge(_order())


def test_a_provider_that_does_not_listen_is_an_outage() -> None:
    with _stripe() as provider:
        pass

    with pytest.raises(UnavailableError, match="did not answer"):
        provider.charge(_order())
