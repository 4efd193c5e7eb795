"""`send_welcome`: greet a person who has just activated their account."""

from uuid import UUID

from moneyflow.mails import Mail, declare
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy

WELCOME = declare(Mail("welcome"))


class SendWelcome(
    Job,
    kind="send_welcome",
    priority=WELCOME.priority,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
    public_result=("sent",),
):
    """Send the welcome mail to a user, once in the account's life."""

    user_id: UUID

    def unique_key(self) -> str | None:
        """Return one key per user: a second enqueue returns the first job, and one mail is sent."""
        return f"send_welcome:{self.user_id}"
