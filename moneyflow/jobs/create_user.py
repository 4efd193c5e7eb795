"""`create_user`: make the account of an invited person, and mail the invitation."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class CreateUser(
    Job,
    kind="create_user",
    priority=3,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=600),
    time_limit_seconds=60,
):
    """Make the account; who is invited is read from the invitation, so that no queue and no job has a person's data."""

    invitation_id: UUID
