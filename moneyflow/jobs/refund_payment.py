"""`refund_payment`: give the money of a payment back by the payment provider, once."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy, Unique


class RefundPayment(
    Job,
    kind="refund_payment",
    priority=9,
    retry=RetryPolicy(attempts=20, base_seconds=1, cap_seconds=1200),
    time_limit_seconds=120,
    unique=Unique(while_unfinished=True),
):
    """Refund the whole payment."""

    payment_id: UUID

    def unique_key(self) -> str:
        """Return the key by which a payment has one unfinished refund."""
        return f"refund_payment:{self.payment_id}"
