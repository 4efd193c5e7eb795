"""`process_payment`: charge a payment by the payment provider, once."""

from moneyflow.gateways.payments import PaymentProvider
from moneyflow.jobs.process_payment import ProcessPayment
from moneyflow.payments import charging
from workers.handlers import Context, Result, handles


@handles(ProcessPayment)
def process_payment(context: Context, job: ProcessPayment, provider: PaymentProvider) -> Result:
    """Charge it, and enter it in the books; a declined payment is a result too."""
    return charging.process(context.session, provider, job.payment_id)
