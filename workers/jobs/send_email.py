"""`send_email`: render a mail from `mail_templates/` and send it by SMTP."""

from moneyflow.accounts import mails
from moneyflow.jobs.send_email import SendEmail
from workers.handlers import Context, Result, handles


@handles(SendEmail)
def send_email(context: Context, job: SendEmail) -> Result:
    """Send the mail; one whose account is gone meanwhile has nobody to go to."""
    tools = context.tools
    letter = mails.compose(context.session, tools.settings, job.template, user_id=job.user_id, job_id=context.job_id)
    if letter is None:
        return {"sent": False, "reason": "the account is gone"}
    # The token's hash is there before its link is, and no transaction is open while the mail server is asked.
    context.session.commit()
    tools.mailer.send(job.template, to=letter.to, values=letter.values, job_id=context.job_id)
    return {"sent": True}
