"""`send_email`: render a mail from `mail_templates/` and send it by SMTP."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy

#: Mails that somebody sits and waits for. SECURITY: both answers to a sign-up, or the wait would tell them apart.
_URGENT = frozenset({"activation", "already_registered"})


class SendEmail(
    Job,
    kind="send_email",
    priority=5,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
):
    """Send the mail `template` to the user; what stands in it is read when the mail is made."""

    template: str
    user_id: UUID

    def message_priority(self) -> int:
        """Return 9 for a mail that somebody waits for, else 5."""
        return 9 if self.template in _URGENT else self.priority
