"""`export_data`: write all that is kept of a person as a ZIP file, and mail a link to it."""

from collections.abc import Iterator

from moneyflow import personal_data
from moneyflow.gateways.storage import Storage
from moneyflow.jobs.export_data import ExportData
from moneyflow.statements.exports import archive, finishing
from moneyflow.statements.exports.exports import PendingExport
from workers.handlers import Context, Result, handles


@handles(ExportData)
def export_data(context: Context, job: ExportData, storage: Storage) -> Result:
    """Write the file, unless an earlier attempt has."""
    session, parts = context.session, personal_data.registry.values()

    def pieces(export: PendingExport) -> Iterator[bytes]:
        return archive.pieces(session, storage, export, parts=parts, check=context.checkpoint)

    return finishing.finish(session, storage, job.export_id, pieces)
