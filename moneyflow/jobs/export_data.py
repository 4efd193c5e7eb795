"""`export_data`: write all that is kept of a person as a ZIP file, and mail a link to it."""

from uuid import UUID

from moneyflow.jobs.export_statement import EXPORTS
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class ExportData(
    Job,
    kind="export_data",
    priority=2,
    retry=RetryPolicy(attempts=8, base_seconds=5, cap_seconds=600),
    time_limit_seconds=1800,
    limit=EXPORTS,
):
    """Write the file: the person's rows of every table, and their files."""

    user_id: UUID
    export_id: UUID

    def limit_key(self) -> str:
        """Return the person."""
        return str(self.user_id)
