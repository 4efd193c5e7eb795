"""Topic registry: each Kafka topic is declared next to its events, and `migrate` creates all of them."""

from moneyflow.platform.patterns import Pattern

_NAME = Pattern(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", longest=249)

#: Names of the declared event topics, in the order of their declaration; filled when the contracts are imported.
_event_topics: dict[str, None] = {}


def topic(name: str) -> str:
    """Declare a topic of events and return its name; a second declaration of the same name changes nothing.

    Raises:
        ValueError: the name is not of the form `user.events`, or is the dead letter topic.
    """
    if not _NAME.fullmatch(name) or name == DEAD_LETTER:
        raise ValueError(f"topic {name!r}: name must be of the form user.events and not {DEAD_LETTER}")
    _event_topics[name] = None
    return name


def event_topics() -> tuple[str, ...]:
    """Return the declared event topics; import the contracts (`moneyflow.events`) first."""
    return tuple(_event_topics)


def all_topics() -> tuple[str, ...]:
    """Return the declared event topics and the dead letter topic."""
    return (*_event_topics, DEAD_LETTER)


#: Records that a sink refused, byte by byte as they came.
DEAD_LETTER = "events.dead_letter"
#: Events about the platform itself, in order per process.
SYSTEM_EVENTS = topic("system.events")
