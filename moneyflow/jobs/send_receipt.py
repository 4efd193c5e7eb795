"""`send_receipt`: mail a person what was paid, or that it was refunded."""

from typing import Literal
from uuid import UUID

from moneyflow.mails import Mail, declare
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy

RECEIPT = declare(Mail("receipt"))
REFUND_RECEIPT = declare(Mail("refund_receipt"))
#: The mail for each thing that happens to a payment.
MAILS = {"succeeded": RECEIPT, "refunded": REFUND_RECEIPT}


class SendReceipt(
    Job,
    kind="send_receipt",
    priority=RECEIPT.priority,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
    # SECURITY: as of every mail.
    public_result=("sent",),
):
    """Send the receipt; the amount is read from the payment when it is sent."""

    payment_id: UUID
    state: Literal["succeeded", "refunded"]
