"""`purge`: delete what is over, such as old jobs and expired tokens, every few minutes."""

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.schedules import Schedule, declare


class Purge(
    Job,
    kind="purge",
    priority=0,
    retry=RetryPolicy(attempts=3, base_seconds=5, cap_seconds=60),
    time_limit_seconds=600,
):
    """Delete what `moneyflow/platform/retention.py` says is over; the next run goes on where this one stops."""


PURGE = declare(Schedule(name="purge", cron="*/5 * * * *", job=Purge()))
