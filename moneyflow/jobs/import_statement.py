"""`import_statement`: read a statement that was uploaded, and add its entries as transactions."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy, Unique


class ImportStatement(
    Job,
    kind="import_statement",
    priority=4,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=600),
    time_limit_seconds=120,
    unique=Unique(while_unfinished=True),
):
    """Read the rows of an import from where it has come to, batch by batch; none is written twice."""

    import_id: UUID

    def unique_key(self) -> str:
        """Return the import."""
        return f"import_statement {self.import_id}"
