"""`send_welcome`: greet a person who has just activated their account."""

from moneyflow.accounts import mails
from moneyflow.jobs.send_welcome import SendWelcome
from workers.handlers import Context, Result, handles


@handles(SendWelcome)
def send_welcome(context: Context, job: SendWelcome) -> Result:
    """Send the letter, unless the account is gone."""
    tools = context.tools
    letter = mails.compose(context.session, tools.settings, "welcome", user_id=job.user_id, job_id=context.job_id)
    if letter is None:
        return {"sent": False, "reason": "the account is gone"}
    context.session.commit()
    tools.mailer.send("welcome", to=letter.to, values=letter.values, job_id=context.job_id)
    return {"sent": True}
