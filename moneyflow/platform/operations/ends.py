"""Ends of the work that an operation has started elsewhere: they are kept as the results of its items."""

import time
from collections.abc import Iterator, Mapping
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.operations import store
from moneyflow.platform.operations.reports import Progress
from moneyflow.platform.operations.sources import Ends, Verb

#: Seconds without any end of started work, after the last item is due, until an operation waits no longer.
END_SECONDS = 60
#: Seconds between two looks; a consumer looks for due dead letters once a second.
_POLL_SECONDS = 0.5
#: Items whose ends one transaction reads and keeps.
_ITEMS = 1000


def wait(database: Database, operation: DictRow, verbs: Mapping[str, Verb], *, seconds: float) -> Iterator[Progress]:
    """Keep the ends as they come and yield how much work has not ended.

    Give up when the last item is due and none has ended for `seconds`; with 0 do not wait at all.
    """
    if not seconds or not any(verb.ends for verb in verbs.values()):
        return
    due_seconds = (operation["paced_until"] - clock.now()).total_seconds() if operation["paced_until"] else 0
    deadline = time.monotonic() + max(due_seconds, 0) + seconds
    while True:
        ended, started = keep(database, operation, verbs)
        if not started or time.monotonic() > deadline:
            return
        if ended:
            deadline = max(deadline, time.monotonic() + seconds)
        yield Progress(done=operation["items"] - started, items=operation["items"], started=started)
        time.sleep(_POLL_SECONDS)


def keep(database: Database, operation: DictRow, verbs: Mapping[str, Verb]) -> tuple[int, int]:
    """Keep the ends that there are by now; return how many were new, and how much work has not ended."""
    counts = [
        _keep(database, operation["id"], source, started=verb.result, ends=verb.ends)
        for source, verb in verbs.items()
        if verb.ends
    ]
    return sum(ended for ended, _ in counts), sum(started for _, started in counts)


def _keep(database: Database, operation_id: UUID, source: str, *, started: str, ends: Ends) -> tuple[int, int]:
    found = left = after = 0
    while True:
        with database.transaction() as session:
            items = store.started_items(session, operation_id, source=source, result=started, after=after, limit=_ITEMS)
            outcomes = ends.read(session, operation_id, items) if items else {}
            store.record_ends(session, operation_id, outcomes, started=started)
        found, left = found + len(outcomes), left + len(items) - len(outcomes)
        if len(items) < _ITEMS:
            return found, left
        after = items[-1].position
