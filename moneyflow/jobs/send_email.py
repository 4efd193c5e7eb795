"""`send_email`: render a declared mail and send it by SMTP."""

from uuid import UUID

from moneyflow import mails
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class SendEmail(
    Job,
    kind="send_email",
    priority=mails.USUAL,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
    # SECURITY: whether a mail bounced, and what its server said, is for operators.
    public_result=("sent",),
):
    """Send the mail `template` to the user; its values are read when it is sent."""

    template: str
    user_id: UUID

    def check_payload(self) -> None:
        """Refuse a template that no declared mail has.

        Raises:
            InvalidInputError: `errors` names the field; `enqueue` inserts nothing.
        """
        self._mail()

    def message_priority(self) -> int:
        """Return the mail's own priority; raises as `check_payload` does."""
        return self._mail().priority

    def _mail(self) -> mails.Mail:
        if self.template in mails.registry:
            return mails.registry[self.template]
        problem = (
            f"{self.template!r} is not a declared mail; declare it in moneyflow/mails.py, or use one of "
            f"{', '.join(sorted(mails.registry))}"
        )
        raise InvalidInputError(f"send_email: template {problem}", (("/template", problem),))
