"""`settle_payments`: decide payments whose job was cancelled or discarded, by what the provider knows of them."""

from moneyflow.gateways.payments import PaymentProvider
from moneyflow.jobs.settle_payments import SettlePayments
from moneyflow.payments import settling
from workers.handlers import Context, Result, handles


@handles(SettlePayments)
def settle_payments(context: Context, _: SettlePayments, provider: PaymentProvider) -> Result:
    """Record the charge that the provider has, or decline: nothing will charge the payment any more."""
    return settling.settle(context.session, provider)
