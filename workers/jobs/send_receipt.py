"""`send_receipt`: mail a person what was paid, or that it was refunded."""

from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_receipt import MAILS, SendReceipt
from moneyflow.payments import receipts
from workers.handlers import Context, Result, handles


@handles(SendReceipt)
def send_receipt(context: Context, job: SendReceipt, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the account does not exist any more or its address bounced lately."""
    mail, job_id = MAILS[job.state], context.job_id
    return receipts.send(context.session, mailer, accounts, mail, payment_id=job.payment_id, job_id=job_id)
