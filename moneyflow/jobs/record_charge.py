"""`record_charge`: record what a webhook of the payment provider says about a payment."""

from typing import Literal
from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class RecordCharge(
    Job,
    kind="record_charge",
    priority=8,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=600),
    time_limit_seconds=60,
):
    """Bring the payment to the state that the provider reports, whether the webhook or our own answer comes first."""

    payment_id: UUID
    charge_id: str
    state: Literal["succeeded", "declined", "refunded"]
    #: Why it was declined.
    code: str | None = None
