"""Refused messages: messages on `jobs_failed` that are no dead letter of a known job.

RabbitMQ put them there when a worker refused them before a job was known, or a foreign tool did. Their bytes are all
that is known of them.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.failed.dead_letters import (
    StatesAndFences,
    body,
    is_dead_letter,
    job_id,
    states_and_fences,
)
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.jobs.failed.groups import REFUSED, Group

if TYPE_CHECKING:  # PERF: kombu takes longer to import than most commands take to run.
    from moneyflow.platform.brokers.failed_queue import FailedQueue

#: Characters of a claimed kind that are shown; no kind is longer.
_KIND_CHARACTERS = 63
#: Characters of a body that a group shows as its sample.
_SAMPLE_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A refused message; `error_class` and `why` say what makes it one."""

    message: FailedMessage
    error_class: str
    why: str

    @property
    def kind(self) -> str:
        """The job kind that the message claims."""
        claimed = self.message.properties.get("type") or body(self.message).get("actor_name")
        return claimed[:_KIND_CHARACTERS] if isinstance(claimed, str) and claimed else "-"

    @property
    def group(self) -> str:
        """The id of its group, computed as Postgres does for jobs."""
        name = f"{REFUSED}\x1f{self.error_class}\x1f{self.why}"
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:10]

    def matches(self, chosen: Filter) -> bool:
        """Whether every given part of the filter holds."""
        moment = self.message.moment
        text = b" ".join((self.why.encode(), self.message.body)).decode("utf-8", "replace").lower()
        return all(
            (
                not chosen.kinds or {self.kind, REFUSED} & set(chosen.kinds),
                not chosen.error_classes or self.error_class in chosen.error_classes,
                not chosen.groups or self.group in chosen.groups,
                not chosen.priorities or self.message.properties.get("priority", 0) in chosen.priorities,
                not chosen.batches and not chosen.states,
                not chosen.subjects or any(subject in text for subject in chosen.subjects),
                chosen.since is None or (moment is not None and moment >= chosen.since),
                chosen.until is None or (moment is not None and moment < chosen.until),
                chosen.text is None or chosen.text.lower() in text,
            )
        )


def refused(
    database: Database,
    batches: Iterable[Sequence[FailedMessage]],
    chosen: Filter,
    *,
    fingerprints: Collection[str] = (),
) -> Iterator[list[Refused]]:
    """Yield the refused messages of each batch that match; only those of the fingerprints when these are given."""
    for batch in batches:
        known = states_and_fences(database, batch)
        found = [one for message in batch if (one := _refused(message, known)) is not None]
        named = [one for one in found if not fingerprints or one.message.fingerprint in fingerprints]
        yield [one for one in named if one.matches(chosen)]


def find(
    database: Database,
    queue: "FailedQueue",
    chosen: Filter,
    *,
    fingerprints: Collection[str] = (),
    on_progress: Callable[[int], object] = lambda _: None,
) -> list[Refused]:
    """Return the refused messages that match, in the queue's order."""
    found: list[Refused] = []
    with queue.browse() as batches:
        for batch in refused(database, batches, chosen, fingerprints=fingerprints):
            found += batch
            on_progress(1)
    return found


def groups_of(found: Sequence[Refused]) -> list[Group]:
    """Return the groups of refused messages, the most numerous first."""
    members: dict[str, list[Refused]] = {}
    for one in found:
        members.setdefault(one.group, []).append(one)
    return sorted((_group(name, ones) for name, ones in members.items()), key=lambda group: -group.jobs)


def _refused(message: FailedMessage, known: StatesAndFences) -> Refused | None:
    """Return why a message is no dead letter of a known job; None when it is one."""
    if is_dead_letter(message, known):
        return None
    named = job_id(message)
    if named is None:
        return Refused(message=message, error_class="Undecodable", why="the body is not the message of a job")
    if named not in known:
        return Refused(message=message, error_class="UnknownJob", why="Postgres has no job of that id")
    state, _ = known[named]
    return Refused(message=message, error_class="NotOurs", why=f"the relay did not write it; its job is {state}")


def _group(name: str, ones: Sequence[Refused]) -> Group:
    moments = sorted(moment for one in ones if (moment := one.message.moment) is not None)
    newest = ones[-1]
    return Group(
        group=name,
        kind=REFUSED,
        error_class=newest.error_class,
        message=newest.why,
        jobs=len(ones),
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        sample_id=newest.message.fingerprint,
        sample_message=newest.message.body[:_SAMPLE_CHARACTERS].decode("utf-8", "replace"),
    )
