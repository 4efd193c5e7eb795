"""`purge`: delete expired rows, such as old jobs and mailed tokens, by the rules that their rooms declare."""

from moneyflow import retention
from moneyflow.jobs.purge import Purge
from moneyflow.platform.settings import RetentionSettings
from workers.handlers import Context, Result, handles

#: Seconds after which it stops by itself; less than half of its time limit, and the next run continues.
_SECONDS = 240.0


@handles(Purge)
def purge(context: Context, _: Purge, settings: RetentionSettings) -> Result:
    """Apply every retention rule, in transactions of their own: each batch stays deleted, whatever follows."""
    return retention.purge(context.session, settings, seconds=_SECONDS)
