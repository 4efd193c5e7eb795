"""`python -m tests.support.file_writer OWNER_ID`: write files with their rows as the API does, until it is killed."""

import os
import sys
from uuid import UUID

from moneyflow.gateways.storage import files, new_key
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database
from moneyflow.settings import load_all

_PIECE = b"uploaded" * 8192


def main() -> None:
    """Write one after the other; delete the row of every third again."""
    settings = load_all(dict(os.environ))
    storage, owner_id = storage_of(settings), UUID(sys.argv[1])
    database = Database(settings.conninfo("app", application_name="file writer"), size=1)
    database.open()
    number = 0
    while True:
        number += 1
        written = storage.write(new_key("private", ".csv"), [_PIECE] * (number % 5))
        with database.transaction() as session:
            file_id = files.add(session, written, name="a.csv", content_type="text/csv", owner_id=owner_id)
        if number % 3 == 0:
            with database.transaction() as session:
                files.delete(session, file_id)


if __name__ == "__main__":
    main()
