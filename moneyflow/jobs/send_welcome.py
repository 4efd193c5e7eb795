"""`send_welcome`: greet a person who has just activated their account."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class SendWelcome(
    Job,
    kind="send_welcome",
    priority=5,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
):
    """Mail the welcome letter to the user, once in the account's life."""

    user_id: UUID

    def unique_key(self) -> str | None:
        """Return one key per user: however often it is asked for, one letter is sent."""
        return f"send_welcome:{self.user_id}"
