"""`sweep_files`: delete the files that no row names, every hour."""

from pydantic import Field

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.schedules import Schedule, declare


class SweepFiles(
    Job,
    kind="sweep_files",
    priority=0,
    retry=RetryPolicy(attempts=3, base_seconds=30, cap_seconds=300),
    time_limit_seconds=3600,
):
    """Compare the storage with the rows of files; a run that breaks off is repeated from the start.

    `grace_seconds`: how long a file may be without a row, because it is written before its row commits. Zero deletes
    what is being written; give it only while no API and no other job runs.
    """

    grace_seconds: int = Field(default=86_400, ge=0, le=31_536_000)


SWEEP_FILES = declare(Schedule(name="sweep_files", cron="17 * * * *", job=SweepFiles()))
