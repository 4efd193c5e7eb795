"""`send_email`: render a declared mail and send it by SMTP."""

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import mail_named
from workers.handlers import Context, Result, handles


@handles(SendEmail)
def send_email(context: Context, job: SendEmail, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the account does not exist any more."""
    declared = mail_named(job.template)
    mail = mails.compose(context.session, accounts, declared, user_id=job.user_id, job_id=context.job_id)
    if mail is None:
        return {"sent": False, "reason": "the account does not exist any more"}
    # The token's hash is committed before its link is sent, and no transaction is open during the call.
    context.session.commit()
    mailer.send(mail.template, to=mail.to, values=mail.values, job_id=context.job_id)
    return {"sent": True}
