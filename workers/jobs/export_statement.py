"""`export_statement`: write the transactions of a period as a CSV or PDF file, and mail a link to it."""

from moneyflow.gateways.storage import Storage
from moneyflow.jobs.export_statement import ExportStatement
from moneyflow.statements.exports import finishing, statements
from workers.handlers import Context, Result, handles


@handles(ExportStatement)
def export_statement(context: Context, job: ExportStatement, storage: Storage) -> Result:
    """Write the file, unless an earlier attempt has; a PDF of too many transactions is refused."""
    session = context.session
    return finishing.finish(
        session, storage, job.export_id, lambda export: statements.pieces(session, export, report=context.progress)
    )
