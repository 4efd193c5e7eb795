"""Sweep: deletes the files that no row names, and reports the rows whose file is missing.

A key leaves three traces: a file in the storage, a row in `files`, and, once the row was deleted, a row in
`file_deletions`. First the files of deleted rows are deleted. Then the keys of the storage and those of the rows, both
in their order, are compared side by side: what is on one side alone is looked at again before it counts, because a
person or a job may have written or deleted it meanwhile. A file has to be older than the grace: its row commits after
it was written. So a sweep holds a bounded number of keys, and may end at any line: the next one finds what it has left.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import Counter

from moneyflow.gateways.storage import Storage
from moneyflow.platform import failpoints
from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

_DELETED = failpoints.declare("sweep.deleted")

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: How long a file may be without a row: longer than any transaction, and any upload.
GRACE = timedelta(days=1)
#: Keys of one statement.
BATCH_KEYS = 500
#: Missing files of one sweep that are logged by their ids; all are counted.
_LOGGED = 100

swept_files = Counter("moneyflow_files_swept_total", "Files deleted from the storage", ["reason"])
missing_files = Counter("moneyflow_files_missing_total", "Rows whose file is missing; each sweep counts them again")

#: Called with the number of files and rows that were looked at so far.
Report = Callable[[int], object]


def sweep(
    session: Session,
    storage: Storage,
    *,
    grace: timedelta = GRACE,
    report: Report = lambda _: None,
    batch_keys: int = BATCH_KEYS,
) -> dict[str, Any]:
    """Sweep once; return how many files were `deleted` with their rows, were `unnamed`, and are `missing`.

    The session commits each batch. With missing files the result has an `alarm`, which is shown to operators.

    Raises:
        UnavailableError: the storage is down; what was deleted stays deleted.
    """
    return _Sweep(session, storage, report, batch_keys).run(grace)


class _Sweep:
    """One sweep and its counts."""

    def __init__(self, session: Session, storage: Storage, report: Report, batch_keys: int) -> None:
        self._session, self._storage = session, storage
        self._report, self._batch_keys = report, batch_keys
        self._counts = {"deleted": 0, "unnamed": 0, "missing": 0, "seen": 0}

    def run(self, grace: timedelta) -> dict[str, Any]:
        """Delete the files of deleted rows, then compare."""
        while self._delete_named():
            pass
        row = self._session.fetch_one(_QUERIES["begin"], {"grace": grace})
        assert row is not None
        self._compare(row["before"])
        log.info("files_swept", **self._counts)
        missing = self._counts["missing"]
        return self._counts | ({"alarm": f"{missing} files are missing in the storage"} if missing else {})

    def _delete_named(self) -> int:
        """Delete a batch of files whose rows were deleted; return how many."""
        keys = self._keys("deletions", limit=self._batch_keys)
        for key in keys:
            self._storage.delete(key)
            failpoints.reach(_DELETED)
        self._session.execute(_QUERIES["forget_deletions"], {"keys": keys})
        self._session.commit()
        self._count("deleted", keys)
        return len(keys)

    def _compare(self, before: datetime) -> None:
        """Walk through the keys of the storage and of the rows side by side, in their order."""
        rows = self._rows(before)
        row = next(rows, None)
        unnamed: list[str] = []
        unseen: list[str] = []
        for key in self._storage.keys(written_before=before):
            while row is not None and row < key:
                unseen.append(row)
                row = next(rows, None)
                self._check_full(unnamed, unseen)
            if row == key:
                row = next(rows, None)
            else:
                unnamed.append(key)
            self._check_full(unnamed, unseen)
            self._seen()
        while row is not None:
            unseen.append(row)
            row = next(rows, None)
            self._check_full(unnamed, unseen)
        self._check(unnamed, unseen)

    def _check_full(self, unnamed: list[str], unseen: list[str]) -> None:
        if max(len(unnamed), len(unseen)) >= self._batch_keys:
            self._check(unnamed, unseen)

    def _check(self, unnamed: list[str], unseen: list[str]) -> None:
        """Look again at what was on one side alone; delete what no row names, and count what is missing."""
        if unnamed:
            named = set(self._keys("named", keys=unnamed))
            self._delete_unnamed([key for key in unnamed if key not in named])
        if unseen:
            self._count_missing([key for key in unseen if not self._exists(key)])
        unnamed.clear()
        unseen.clear()

    def _delete_unnamed(self, keys: list[str]) -> None:
        for key in keys:
            self._storage.delete(key)
            failpoints.reach(_DELETED)
        self._count("unnamed", keys)

    def _count_missing(self, keys: list[str]) -> None:
        """Count the rows that are still there, and so miss their file."""
        rows = self._session.fetch_all(_QUERIES["rows"], {"keys": keys})
        self._end_transaction()
        for row in rows[: max(_LOGGED - self._counts["missing"], 0)]:
            log.error("file_missing", file_id=str(row["id"]))
        self._counts["missing"] += len(rows)
        missing_files.inc(len(rows))

    def _count(self, what: str, keys: list[str]) -> None:
        self._counts[what] += len(keys)
        swept_files.labels(what).inc(len(keys))

    def _seen(self) -> None:
        self._counts["seen"] += 1
        self._report(self._counts["seen"])

    def _exists(self, key: str) -> bool:
        try:
            with self._storage.open(key, size=0):
                return True
        except NotFoundError:
            return False

    def _rows(self, before: datetime) -> Iterator[str]:
        """Yield the keys of rows in their order, page by page."""
        after = ""
        while keys := self._keys("page", after=after, before=before, limit=self._batch_keys):
            yield from keys
            after = keys[-1]

    def _keys(self, query: str, **parameters: Any) -> list[str]:
        keys = [row["key"] for row in self._session.fetch_all(_QUERIES[query], parameters)]
        self._end_transaction()
        return keys

    def _end_transaction(self) -> None:
        """Hold no transaction and no connection while the storage works."""
        self._session.commit()
        self._session.release()
