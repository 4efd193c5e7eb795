"""A job, its batch and its file, and a public file, for tests that read one of each."""

from moneyflow.gateways.storage import Storage, files, new_key
from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.result_file import File
from workers.execution.result_files import ResultFiles


def store_ids(database: Database, storage: Storage) -> dict[str, str]:
    """Store one of each; return their ids and the path of the public file as a process has them in its environment."""
    with database.transaction() as session:
        batch_id = batches.submit(session, [Purge()], name="stored")
        (job,) = session.fetch_all("select id from jobs where batch_id = %(id)s", {"id": batch_id})
        balances = File(name="balances.csv", content=b"a,b\n")
        kept = ResultFiles(storage).store(session, balances, job_id=job["id"])
    ids = {"JOB_ID": str(job["id"]), "BATCH_ID": str(batch_id), "FILE_ID": kept["file"]["id"]}
    return ids | {"PUBLIC_FILE": files.public_url(storage.write(new_key("public", ".webp"), [b"RIFF"]).key)}
