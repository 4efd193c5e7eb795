"""`process_avatar`: make the avatar of a user from the image that they have uploaded."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class ProcessAvatar(
    Job,
    kind="process_avatar",
    priority=2,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=600),
    time_limit_seconds=120,
):
    """Check the image, scale it, and make it the user's avatar, unless a newer one was uploaded."""

    user_id: UUID
    #: The uploaded file.
    file_id: UUID
