"""`purge`: delete expired rows, such as old jobs and mailed tokens, every five minutes."""

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
    """Apply the retention rules; a run that stops for lack of time is continued by the next one."""


PURGE = declare(Schedule(name="purge", cron="*/5 * * * *", job=Purge()))
