"""Events that an operator looks for, in Kafka or in the audit log: the filter, and an event as it was found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moneyflow.platform.errors import InvalidInputError, PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.contract import registry
from moneyflow.platform.events.topics import DEAD_LETTER, event_topics
from moneyflow.platform.suggestions import did_you_mean

#: The end of a type that stands for all types that begin with what is before it: `system.*`.
_ANY = ".*"
#: Characters that JSON escapes, or may.
_ESCAPED = frozenset('"\\/')


@dataclass(frozen=True, kw_only=True)
class FoundEvent:
    """An event with its place in Kafka; of a record that is no event `problem` says why, and `data` is its text."""

    topic: str
    partition: int
    offset: int
    #: Of the event; of a record that is none, when Kafka got it.
    time: datetime | None
    id: str | None
    type: str | None
    subject: str | None
    actor_id: str | None
    correlation_id: str | None
    data: Any
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Filter of events: every given part must hold; a type may be `system.*`. `since` and `until` bound the time."""

    topics: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    correlation_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def check(self) -> None:
        """Check that topics and types exist: a misspelt one would silently match nothing.

        Raises:
            InvalidInputError: with the closest one; import the contracts (`moneyflow.events`) first.
        """
        known = (*event_topics(), DEAD_LETTER)
        for topic in self.topics:
            if topic not in known:
                hint = did_you_mean(topic, known, otherwise=f"there are {', '.join(known)}")
                raise InvalidInputError(f"there is no topic {topic!r}; {hint}")
        for type in self.types:
            if not any(_matches(type, name) for name in registry):
                hint = did_you_mean(type, registry, otherwise=f"there are {', '.join(sorted(registry))}")
                raise InvalidInputError(f"there is no event type {type!r}; {hint}, or a beginning such as user.*")
        if self.since and self.until and self.until <= self.since:
            raise InvalidInputError("--until is not after --since; no event can be between them")

    @property
    def all_types(self) -> tuple[str, ...]:
        """The known types that the filter matches."""
        return tuple(name for name in sorted(registry) if any(_matches(type, name) for type in self.types))

    def matches(self, found: FoundEvent) -> bool:
        """Whether every given part holds."""
        return all(
            (
                not self.types or any(_matches(type, found.type or "") for type in self.types),
                not self.subjects or found.subject in self.subjects,
                not self.correlation_ids or found.correlation_id in self.correlation_ids,
                self.since is None or (found.time is not None and found.time >= self.since),
                self.until is None or (found.time is not None and found.time < self.until),
            )
        )

    def may_match(self, value: bytes | None) -> bool:
        """Whether a record may be meant. PERF: most are not, and need not be parsed."""
        text = value or b""
        return all(not wanted or any(one.encode() in text for one in wanted) for wanted in self._wanted())

    def _wanted(self) -> tuple[tuple[str, ...], ...]:
        """Return what a record that matches has as it is: text that no JSON escapes."""
        return tuple(texts for texts in (self.subjects, self.correlation_ids) if all(map(_is_plain, texts)))


def read(*, topic: str, partition: int, offset: int, value: bytes | None, written_at: datetime | None) -> FoundEvent:
    """Return a record as an event, or as what is wrong with it."""
    try:
        event = envelope.read(value)
    except PoisonError as error:
        text = (value or b"").decode("utf-8", "backslashreplace")
        return FoundEvent(
            topic=topic, partition=partition, offset=offset, time=written_at, id=None, type=None, subject=None,
            actor_id=None, correlation_id=None, data=text, problem=error.detail,
        )  # fmt: skip
    return FoundEvent(
        topic=topic, partition=partition, offset=offset, time=event.time, id=event.id, type=event.type,
        subject=event.subject, actor_id=event.actor_id, correlation_id=event.correlation_id, data=event.data,
    )  # fmt: skip


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and not _ESCAPED & set(text)


def _matches(wanted: str, type: str) -> bool:
    return type.startswith(wanted.removesuffix("*")) if wanted.endswith(_ANY) else type == wanted
