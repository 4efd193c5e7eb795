"""`partition_audit`: make the audit log's partitions of the next months."""

from moneyflow.audit import partitions
from moneyflow.jobs.partition_audit import PartitionAudit
from workers.handlers import Context, Result, handles


@handles(PartitionAudit)
def partition_audit(context: Context, _: PartitionAudit) -> Result:
    """Make the partitions that are missing."""
    return {"made": partitions.make(context.session)}
