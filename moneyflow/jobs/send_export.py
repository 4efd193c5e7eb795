"""`send_export`: mail a person that an export is ready, with a link to its file."""

from uuid import UUID

from moneyflow.mails import Mail, declare
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy

EXPORT = declare(Mail("export"))


class SendExport(
    Job,
    kind="send_export",
    priority=EXPORT.priority,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
    # SECURITY: as of every mail.
    public_result=("sent",),
):
    """Send the mail; what it says is read from the export when it is sent."""

    export_id: UUID
