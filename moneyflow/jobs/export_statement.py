"""`export_statement`: write the transactions of a period as a CSV or PDF file, and mail a link to it."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.policy import RetryPolicy

#: One export of a person at a time: many of one person must not take the workers from all others.
EXPORTS = Limit(name="exports", concurrency_per_key=1)


class ExportStatement(
    Job,
    kind="export_statement",
    priority=2,
    retry=RetryPolicy(attempts=8, base_seconds=5, cap_seconds=600),
    time_limit_seconds=1800,
    limit=EXPORTS,
):
    """Write the file; the period and the format are in the export's row."""

    user_id: UUID
    export_id: UUID

    def limit_key(self) -> str:
        """Return the person."""
        return str(self.user_id)
