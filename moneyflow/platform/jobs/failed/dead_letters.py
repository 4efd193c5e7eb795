"""Dead letters on `jobs_failed`, compared with Postgres: a sweep removes stale ones, all others stay in their order.

A dead letter is stale when its job is no longer failed with the fence that the dead letter names: the job was replayed
or discarded, or it has failed again and has a newer dead letter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.database import Database
from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.failed import groups

if TYPE_CHECKING:  # PERF: kombu takes longer to import than most commands take to run.
    from moneyflow.platform.brokers.failed_queue import FailedQueue

#: State and fence of jobs by id.
StatesAndFences = dict[UUID, tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class Swept:
    """Outcome of a sweep: dead letters that were removed and that were left, and messages without a known job.

    `undone` says why nothing was done, with `left` and `refused` unknown.
    """

    removed: int = 0
    left: int | None = None
    refused: int | None = None
    undone: str | None = None


def sweep(database: Database, queue: "FailedQueue", *, on_progress: Callable[[int], object] = lambda _: None) -> Swept:
    """Remove stale dead letters. It may be repeated at any time, by any number of operators."""
    removed = left = refused = 0
    with queue.browse() as batches:
        for batch in batches:
            known = states_and_fences(database, batch)
            stale = [message for message in batch if _is_stale(message, known)]
            queue.remove(stale, and_all_before=len(stale) == len(batch) and left + refused == 0)
            unknown = sum(not is_dead_letter(message, known) for message in batch)
            removed, refused = removed + len(stale), refused + unknown
            left += len(batch) - len(stale) - unknown
            on_progress(len(batch))
    return Swept(removed=removed, left=left, refused=refused)


def states_and_fences(database: Database, batch: Sequence[FailedMessage]) -> StatesAndFences:
    """Return state and fence of the jobs that messages name, where Postgres has them."""
    ids = [named for message in batch if (named := job_id(message)) is not None]
    with database.transaction() as session:
        return groups.states_and_fences(session, ids)


def is_dead_letter(message: FailedMessage, known: StatesAndFences) -> bool:
    """Whether the relay wrote the message, about a job that Postgres has."""
    return message.fence is not None and job_id(message) in known


def job_id(message: FailedMessage) -> UUID | None:
    """Return the job that the body names, as a worker would read it."""
    args = body(message).get("args")
    named = args[0] if isinstance(args, list) and len(args) == 1 else None
    return parse_id(named) if isinstance(named, str) else None


def body(message: FailedMessage) -> dict[str, Any]:
    """Return the body's fields; none when it is not a JSON object."""
    try:
        fields = orjson.loads(message.body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_stale(message: FailedMessage, known: StatesAndFences) -> bool:
    named, fence = job_id(message), message.fence
    if fence is None or named is None or named not in known:
        return False
    state, fence_now = known[named]
    # A row whose fence is older than its dead letter belongs to a database that was restored: nothing is removed then.
    return fence_now > fence or (fence_now == fence and state != "failed")
