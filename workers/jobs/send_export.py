"""`send_export`: mail a person that an export is ready, with a link to its file."""

from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.send_export import EXPORT, SendExport
from moneyflow.statements.exports import notices
from workers.handlers import Context, Result, handles


@handles(SendExport)
def send_export(context: Context, job: SendExport, mailer: Mailer, accounts: AccountSettings) -> Result:
    """Send the mail, unless the export has expired, the account does not exist any more or its address bounced."""
    session, job_id = context.session, context.job_id
    return notices.send(session, mailer, accounts, EXPORT, export_id=job.export_id, job_id=job_id)
