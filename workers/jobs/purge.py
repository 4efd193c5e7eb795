"""`purge`: delete what is over, such as old jobs and expired tokens, every few minutes."""

from datetime import timedelta

from moneyflow.jobs.purge import Purge
from moneyflow.platform import retention
from moneyflow.platform.retention import Keeping
from workers.handlers import Context, Result, handles

#: It stops by itself long before its time limit; the next run goes on.
_SECONDS = 240.0


@handles(Purge)
def purge(context: Context, _: Purge) -> Result:
    """Delete it, in transactions of their own: each batch stands, whatever becomes of the rest."""
    settings = context.tools.settings
    keeping = Keeping(
        jobs=timedelta(days=settings.jobs_kept_days), discarded=timedelta(days=settings.jobs_discarded_kept_days)
    )
    return retention.purge(context.session, keeping, seconds=_SECONDS)
