"""`checkpoint_audit`: sign the heads of the audit log's chains and write them to the storage."""

from moneyflow.audit import checkpoints
from moneyflow.audit.settings import AuditCheckpointSettings
from moneyflow.gateways.storage import Storage
from moneyflow.jobs.checkpoint_audit import CheckpointAudit
from workers.handlers import Context, Result, handles


@handles(CheckpointAudit)
def checkpoint_audit(
    context: Context, _: CheckpointAudit, storage: Storage, settings: AuditCheckpointSettings
) -> Result:
    """Take a checkpoint; a repeated attempt takes another one, which does no harm."""
    taken = checkpoints.take(context.session, storage, settings.checkpoint_keys)
    return {"checkpoint": taken.name, "chains": len(taken.heads)}
