"""`checkpoint_audit`: sign the heads of the audit log's chains and write them to the storage, every day."""

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.schedules import Schedule, declare


class CheckpointAudit(
    Job,
    kind="checkpoint_audit",
    priority=0,
    retry=RetryPolicy(attempts=8, base_seconds=30, cap_seconds=1800),
    time_limit_seconds=300,
):
    """Take a checkpoint; it fails for good when a chain has lost rows since the last one."""


CHECKPOINT_AUDIT = declare(Schedule(name="checkpoint_audit", cron="10 0 * * *", job=CheckpointAudit()))
