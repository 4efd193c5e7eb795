"""`delete_category`: move the transactions of a category part by part, each in its own transaction, and delete it."""

import time

from moneyflow.jobs.delete_category import DeleteCategory
from moneyflow.money import category_deletion
from moneyflow.platform.errors import InvalidInputError
from workers.handlers import Cancel, Context, Result, Snooze, handles

#: Seconds after which the attempt ends, and another one continues: a quarter of its time limit.
_SECONDS = 30.0


@handles(DeleteCategory)
def delete_category(context: Context, job: DeleteCategory) -> Result | Cancel | Snooze:
    """Delete the category; it stays, with what is left in it, when the category to move to was deleted meanwhile."""
    stop_at = time.monotonic() + _SECONDS
    try:
        is_deleted = category_deletion.finish(
            context.session, job, report=context.progress, is_time_left=lambda: time.monotonic() < stop_at
        )
    except InvalidInputError:
        return Cancel("the category to move to was deleted meanwhile; delete the category again with another one")
    return None if is_deleted else Snooze(1, "there are more transactions")
