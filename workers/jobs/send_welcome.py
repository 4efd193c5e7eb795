"""`send_welcome`: greet a person who has just activated their account."""

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_welcome import WELCOME, SendWelcome
from workers.handlers import Context, Result, handles


@handles(SendWelcome)
def send_welcome(context: Context, job: SendWelcome, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the account does not exist any more or its address bounced lately."""
    return mails.send(context.session, mailer, accounts, WELCOME, user_id=job.user_id, job_id=context.job_id)
