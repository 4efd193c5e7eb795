"""`process_payment`: charge a payment by the payment provider, once."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class ProcessPayment(
    Job,
    kind="process_payment",
    priority=10,
    # About two hours; a payment that is still without an answer then waits for an operator, and is charged once too.
    retry=RetryPolicy(attempts=20, base_seconds=1, cap_seconds=1200),
    time_limit_seconds=120,
):
    """Charge the payment; what is charged is in its row, so that no queue holds an amount or a token of a card."""

    payment_id: UUID
