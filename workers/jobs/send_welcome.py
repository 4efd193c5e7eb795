"""`send_welcome`: greet a person who has just activated their account."""

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_welcome import WELCOME, SendWelcome
from workers.handlers import Context, Result, handles


@handles(SendWelcome)
def send_welcome(context: Context, job: SendWelcome, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the account does not exist any more."""
    mail = mails.compose(context.session, accounts, WELCOME, user_id=job.user_id, job_id=context.job_id)
    if mail is None:
        return {"sent": False, "reason": "the account does not exist any more"}
    context.session.commit()  # No transaction is open during the call to the mail server.
    mailer.send(mail.template, to=mail.to, values=mail.values, job_id=context.job_id)
    return {"sent": True}
