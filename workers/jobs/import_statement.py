"""`import_statement`: read a statement batch by batch, from where the import has come to."""

import time
from dataclasses import asdict

from moneyflow.gateways.storage import Storage
from moneyflow.jobs.import_statement import ImportStatement
from moneyflow.statements import importing
from moneyflow.statements.batches import Counts
from workers.handlers import Context, Result, Snooze, handles

#: Seconds after which the attempt ends, and another one continues: half of its time limit.
_SECONDS = 60.0


@handles(ImportStatement)
def import_statement(context: Context, job: ImportStatement, storage: Storage) -> Result | Snooze:
    """Import the rows; when the job is cancelled between two batches, what is added stays."""
    stop_at = time.monotonic() + _SECONDS

    def report(counts: Counts, done: int, total: int) -> None:
        note = f"{counts.read} rows read, {counts.added} added"
        context.progress(done, total, note)

    counts = importing.read_on(
        context.session, storage, job.import_id, report=report, is_time_left=lambda: time.monotonic() < stop_at
    )
    return Snooze(1, "there are more rows") if counts is None else asdict(counts)
