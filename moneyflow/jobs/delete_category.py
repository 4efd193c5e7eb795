"""`delete_category`: the rest of the deletion of a category that has more transactions than a request moves."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy, Unique


class DeleteCategory(
    Job,
    kind="delete_category",
    priority=2,
    retry=RetryPolicy(attempts=20, base_seconds=2, cap_seconds=600),
    time_limit_seconds=120,
    unique=Unique(while_unfinished=True),
):
    """Move the transactions of a category and its subcategories to `move_to`, or to none, and delete it.

    One job deletes a category, however often it is asked for.
    """

    user_id: UUID
    category_id: UUID
    move_to: UUID | None

    def unique_key(self) -> str:
        """Return the category."""
        return f"delete_category {self.category_id}"
