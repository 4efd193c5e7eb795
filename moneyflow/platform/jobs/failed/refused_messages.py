"""Messages of `jobs_failed` that are no letter of a known job: RabbitMQ itself set them aside, or somebody wrote them.

They were refused before a job was known, so nothing but their bytes tells of them. They are shown beside the failed
jobs, and an operator moves them to `jobs` or drops them; what is dropped is kept with the operation.
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.brokers.failed_queue import FailedQueue
from moneyflow.platform.brokers.rabbitmq import DEAD_EXCHANGE, JOBS_EXCHANGE, JOBS_QUEUE
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.failed import store as ledger
from moneyflow.platform.jobs.failed.dead_letters import Standing, body, is_letter, job_id, standing_of
from moneyflow.platform.jobs.failed.groups import Filter, Group
from moneyflow.platform.jobs.failed.operations import Result
from moneyflow.platform.jobs.failed.store import Order, Verb

#: In the place of a kind, for messages that have no job.
REFUSED = "(refused)"
#: What becomes of a message.
RESULTS = {Verb.REPLAY: Result.REPLAYED, Verb.DISCARD: Result.DISCARDED}


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A message that tells of no failure of a known job; `error_class` and `message` say why it is one."""

    letter: FailedMessage
    error_class: str
    message: str

    @property
    def kind(self) -> str:
        """Return the job that the message calls itself."""
        return str(self.letter.properties.get("type") or "") or body(self.letter).get("actor_name") or "-"

    @property
    def group(self) -> str:
        """Return the short name of its group, as Postgres makes it for jobs."""
        name = f"{REFUSED}\x1f{self.error_class}\x1f{self.message}"
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:10]

    def matches(self, chosen: Filter) -> bool:
        """Say whether the filter means it."""
        moment = self.letter.moment
        text = b" ".join((self.message.encode(), self.letter.body)).decode("utf-8", "replace").lower()
        return all(
            (
                not chosen.kinds or {self.kind, REFUSED} & set(chosen.kinds),
                not chosen.error_classes or self.error_class in chosen.error_classes,
                not chosen.groups or self.group in chosen.groups,
                not chosen.priorities or self.letter.properties.get("priority", 0) in chosen.priorities,
                chosen.since is None or (moment is not None and moment >= chosen.since),
                chosen.until is None or (moment is not None and moment < chosen.until),
                chosen.text is None or chosen.text.lower() in text,
            )
        )


def refused(
    database: Database, queue: FailedQueue, chosen: Filter, *, fingerprints: Sequence[str] = ()
) -> Generator[list[Refused], None, None]:
    """Yield the messages that have no job and that the filter means, batch by batch."""
    with closing(queue.look()) as batches:
        for batch in batches:
            known = standing_of(database, batch)
            told = [found for letter in batch if (found := _told(letter, known)) is not None]
            meant = [one for one in told if not fingerprints or one.letter.fingerprint in fingerprints]
            yield [one for one in meant if one.matches(chosen)]


def groups_of(found: Sequence[Refused]) -> list[Group]:
    """Group messages as `ledger.failed.groups` does jobs, the most numerous first."""
    members: dict[str, list[Refused]] = {}
    for one in found:
        members.setdefault(one.group, []).append(one)
    return sorted((_group(name, ones) for name, ones in members.items()), key=lambda group: -group.jobs)


def begin(database: Database, order: Order, *, fingerprints: Sequence[str] = ()) -> UUID:
    """Keep who asks and why, and return the operation that `run` carries out."""
    described = {**order.selection.filter.as_json(), "refused": True, "fingerprints": list(fingerprints)}
    with database.transaction() as session:
        return ledger.begin(session, order, filter_as=described)


def run(
    database: Database, queue: FailedQueue, order: Order, operation_id: UUID, *, fingerprints: Sequence[str] = ()
) -> Iterator[int]:
    """Move messages that have no job to `jobs`, or drop them; yields how many are done.

    Each is kept with the operation, bytes and properties, before anything is done to it. Killed in the middle, what
    was not done lies where it was. What is refused again while this runs is left for another time.
    """
    position = 0
    for found in refused(database, queue, order.selection.filter, fingerprints=fingerprints):
        _settle(database, queue, order.verb, operation_id, found, first=position + 1)
        position += len(found)
        yield position
    with database.transaction() as session:
        ledger.count_items(session, operation_id)
        ledger.change_state(session, operation_id, "ended")


def restore(database: Database, queue: FailedQueue, *, source: UUID, operation_id: UUID) -> int:
    """Put the messages that the operation `source` dropped back on `jobs_failed`; return how many."""
    with database.transaction() as session:
        kept = ledger.messages(session, source)
        offset = ledger.count_items(session, operation_id)
    for number, row in enumerate(kept, offset + 1):
        queue.put(FailedMessage.from_json(row["message"]), exchange=DEAD_EXCHANGE, routing_key=JOBS_QUEUE)
        with database.transaction() as session:
            ledger.keep_messages(session, operation_id, {number: row["message"]}, result=Result.RESTORED)
            ledger.record(session, source, {row["position"]: (Result.RESTORED, None)})
    with database.transaction() as session:
        ledger.count_items(session, operation_id)
    return len(kept)


def _settle(
    database: Database, queue: FailedQueue, verb: Verb, operation_id: UUID, found: Sequence[Refused], *, first: int
) -> None:
    """Keep a batch, then act on it: what is dropped is in Postgres before RabbitMQ forgets it."""
    numbered = dict(enumerate((one.letter for one in found), first))
    is_discard = verb is Verb.DISCARD
    if numbered:
        with database.transaction() as session:
            kept = {position: letter.as_json() for position, letter in numbered.items()}
            ledger.keep_messages(session, operation_id, kept, result=Result.DISCARDED if is_discard else None)
    if is_discard:
        queue.remove(numbered.values())
        return
    for letter in numbered.values():
        queue.put(letter, exchange=JOBS_EXCHANGE, routing_key=JOBS_QUEUE)
        queue.remove([letter])
    with database.transaction() as session:
        ledger.record(session, operation_id, dict.fromkeys(numbered, (Result.REPLAYED, None)))


def _told(letter: FailedMessage, known: Standing) -> Refused | None:
    """Say why a message is no letter of a known job; None when it is one."""
    if is_letter(letter, known):
        return None
    named = job_id(letter)
    if named is None:
        return Refused(letter=letter, error_class="Undecodable", message="the body is not the message of a job")
    if named not in known:
        return Refused(letter=letter, error_class="UnknownJob", message="Postgres knows no job of that id")
    state, _ = known[named]
    return Refused(letter=letter, error_class="NotOurs", message=f"the relay did not write it; its job is {state}")


def _group(name: str, ones: Sequence[Refused]) -> Group:
    moments = sorted(moment for one in ones if (moment := one.letter.moment) is not None)
    newest = ones[-1]
    return Group(
        group=name,
        kind=REFUSED,
        error_class=newest.error_class,
        message=newest.message,
        jobs=len(ones),
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        sample_id=newest.letter.fingerprint,
        sample_message=newest.letter.body[:200].decode("utf-8", "replace"),
    )
