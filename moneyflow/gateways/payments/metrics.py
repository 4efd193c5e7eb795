"""Metrics of payments: requests to the provider by what came of them."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Counter

from moneyflow.gateways.payments import Charged, Declined, Refunded, RefundRefused

#: `act` is charge or refund. The outcomes: charged, declined, refunded, refused, and without_answer (its job retries).
requests = Counter(
    "moneyflow_payment_requests_total", "Requests to the payment provider by outcome", ["provider", "act", "outcome"]
)

_OUTCOMES = {Charged: "charged", Declined: "declined", Refunded: "refunded", RefundRefused: "refused"}
R = TypeVar("R", Charged | Declined, Refunded | RefundRefused)


def counted(provider: str, act: str, request: Callable[[], R]) -> R:
    """Make a request, and count it by its outcome."""
    try:
        outcome = request()
    except Exception:
        requests.labels(provider, act, "without_answer").inc()
        raise
    requests.labels(provider, act, _OUTCOMES[type(outcome)]).inc()
    return outcome
