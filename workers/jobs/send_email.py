"""`send_email`: render a declared mail and send it by SMTP."""

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import mail_named
from workers.handlers import Context, Result, handles


@handles(SendEmail)
def send_email(context: Context, job: SendEmail, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the account does not exist any more or its address bounced lately."""
    mail = mail_named(job.template)
    return mails.send(context.session, mailer, accounts, mail, user_id=job.user_id, job_id=context.job_id)
