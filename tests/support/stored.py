"""A job, its batch and its file, for tests that read one of each by its id."""

from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.store import files


def store_ids(database: Database) -> dict[str, str]:
    """Store one of each, and return their ids as the environment of a process has them."""
    with database.transaction() as session:
        batch_id = batches.submit(session, [Purge()], name="stored")
        (job,) = session.fetch_all("select id from jobs where batch_id = %(id)s", {"id": batch_id})
        kept = files.store(session, job["id"], files.File(name="balances.csv", content=b"a,b\n"))
    return {"JOB_ID": str(job["id"]), "BATCH_ID": str(batch_id), "FILE_ID": kept["file"]["id"]}
