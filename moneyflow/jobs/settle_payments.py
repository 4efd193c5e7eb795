"""`settle_payments`: decide payments whose job was cancelled or discarded, every ten minutes."""

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.schedules import Schedule, declare


class SettlePayments(
    Job,
    kind="settle_payments",
    priority=0,
    retry=RetryPolicy(attempts=3, base_seconds=5, cap_seconds=60),
    time_limit_seconds=300,
):
    """Ask the provider what became of them; a run that does not come to all is continued by the next one."""


SETTLE_PAYMENTS = declare(Schedule(name="settle_payments", cron="*/10 * * * *", job=SettlePayments()))
