"""`partition_audit`: make the audit log's partitions of the next months, every day."""

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.schedules import Schedule, declare


class PartitionAudit(
    Job,
    kind="partition_audit",
    priority=0,
    retry=RetryPolicy(attempts=8, base_seconds=30, cap_seconds=1800),
    time_limit_seconds=60,
):
    """Make the partitions that are missing; readers of the whole log, such as a verification, delay it."""


PARTITION_AUDIT = declare(Schedule(name="partition_audit", cron="40 0 * * *", job=PartitionAudit()))
