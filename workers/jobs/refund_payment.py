"""`refund_payment`: give the money of a payment back by the payment provider, once."""

from moneyflow.gateways.payments import PaymentProvider
from moneyflow.jobs.refund_payment import RefundPayment
from moneyflow.payments import refunding
from workers.handlers import Context, Result, handles


@handles(RefundPayment)
def refund_payment(context: Context, job: RefundPayment, provider: PaymentProvider) -> Result:
    """Refund it, and enter the refund in the books; a refusal is a result too."""
    return refunding.refund(context.session, provider, job.payment_id)
