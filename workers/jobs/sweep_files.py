"""`sweep_files`: delete the files that no row names, and report the rows whose file is missing."""

from datetime import timedelta

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.sweep import sweep
from moneyflow.jobs.sweep_files import SweepFiles
from workers.handlers import Context, Result, handles


@handles(SweepFiles)
def sweep_files(context: Context, job: SweepFiles, storage: Storage) -> Result:
    """Sweep, in transactions of their own: what was deleted stays deleted, whatever follows."""
    grace = timedelta(seconds=job.grace_seconds)
    return sweep(context.session, storage, grace=grace, report=context.progress)
