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
):
    """Send the mail `template` to the user; its values are read when it is sent."""

    template: str
    user_id: UUID

    def message_priority(self) -> int:
        """Return the mail's own priority.

        Raises:
            InvalidInputError: no such mail is declared; `enqueue` refuses the job.
        """
        if self.template not in mails.registry:
            declared = ", ".join(sorted(mails.registry))
            raise InvalidInputError(
                f"template {self.template!r} is not a declared mail; declare it in moneyflow/mails.py, or use one of "
                f"{declared}"
            )
        return mails.registry[self.template].priority
