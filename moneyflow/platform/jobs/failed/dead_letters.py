"""`jobs_failed` held against Postgres: letters that are over are removed, all else stays in its order.

A letter is over when its job is no longer failed with the fence that the letter names: it was replayed or discarded,
or it has failed anew, with a letter of its own.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.brokers.failed_queue import FailedQueue
from moneyflow.platform.database import Database
from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.failed import groups

#: State and fence of jobs, by their ids.
Standing = dict[UUID, tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep found: letters it removed, letters that stay, and messages that are no letter of a known job."""

    removed: int
    letters: int
    refused: int


def sweep(database: Database, queue: FailedQueue, *, on_progress: Callable[[int], object] = lambda _: None) -> Swept:
    """Remove the letters that are over. Any number of times, by anybody."""
    removed = letters = refused = 0
    with closing(queue.look()) as batches:
        for batch in batches:
            known = standing_of(database, batch)
            over = [letter for letter in batch if _is_over(letter, known)]
            queue.remove(over, and_all_before=len(over) == len(batch) and letters + refused == 0)
            unknown = sum(not is_letter(letter, known) for letter in batch)
            removed, refused = removed + len(over), refused + unknown
            letters += len(batch) - len(over) - unknown
            on_progress(len(batch))
    return Swept(removed=removed, letters=letters, refused=refused)


def standing_of(database: Database, batch: Sequence[FailedMessage]) -> Standing:
    """Return how the jobs stand that the letters name, of those that Postgres knows."""
    ids = [named for letter in batch if (named := job_id(letter)) is not None]
    with database.transaction() as session:
        return groups.standing(session, ids)


def is_letter(letter: FailedMessage, known: Standing) -> bool:
    """Say whether it is what the relay wrote about a job that is known."""
    return letter.fence is not None and job_id(letter) in known


def job_id(letter: FailedMessage) -> UUID | None:
    """Return the job that the body names, as a worker would read it."""
    args = body(letter).get("args")
    named = args[0] if isinstance(args, list) and len(args) == 1 else None
    return parse_id(named) if isinstance(named, str) else None


def body(letter: FailedMessage) -> dict[str, Any]:
    """Return the body's fields; none when it is no JSON object."""
    try:
        fields = orjson.loads(letter.body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_over(letter: FailedMessage, known: Standing) -> bool:
    named, fence = job_id(letter), letter.fence
    if fence is None or named is None or named not in known:
        return False
    state, fence_now = known[named]
    # A row behind its letter is of a database that was set back in time: nothing is thrown away then.
    return fence_now > fence or (fence_now == fence and state != "failed")
