"""The files of a new sink: the sink with its SQL, its tables, their migration and its test; they pass every check.

A sink has a role in Postgres and a user of Kafka of its own name; `sink_lists.py` adds it to the lists of sinks.
"""

import ast
import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moneyflow.events import Event
from moneyflow.events import registry as events
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.suggestions import did_you_mean
from ops.dev.scaffold import sink_templates as templates
from ops.dev.scaffold.job import sentence
from ops.dev.scaffold.sink_lists import ROLES

#: A role of Postgres may have 63 characters, and a line of a file holds the name up to three times.
_LONGEST_NAME = 30
_NAME = Pattern(r"(?=.{2})[a-z][a-z0-9]*(_[a-z0-9]+)*", longest=100)
_VERSIONS = "migrations/versions"
#: Users of the servers and schemas that are no sink's.
_TAKEN = frozenset({"migrate", "broker", "audit_owner", "postgres", "public", "sandbox"})


@dataclass(frozen=True, kw_only=True)
class NewSink:
    """A sink that is written: its name, what it does, and the event that it reads."""

    name: str
    does: str
    event: type[Event]

    @property
    def class_name(self) -> str:
        """The beginning of the names of its classes."""
        return "".join(part.capitalize() for part in self.name.split("_"))


def new_sink(root: Path, name: str, *, event: str, does: str | None = None) -> NewSink:
    """Return the sink that the options describe.

    Raises:
        InvalidInputError: the name is not valid or taken, or there is no such event.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise InvalidInputError(
            f"NAME: {name!r} is not of the form daily_sign_ups: words in lower case, joined by '_', 2 to "
            f"{_LONGEST_NAME} characters in all"
        )
    from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS  # noqa: PLC0415 - `moneyflow --help` needs it not

    roles = {*(root / ROLES).read_text(encoding="utf-8").split(), *_TAKEN}
    if name in RESERVED_WORDS or keyword.iskeyword(name) or name.startswith("pg_") or name in roles:
        raise InvalidInputError(
            f"NAME: {name!r} is a role or a schema, or a word of Python or SQL; choose another name"
        )
    if event not in events:
        hint = did_you_mean(event, events, otherwise=f"there are {', '.join(sorted(events))}")
        raise InvalidInputError(f"--event {event}: there is no such event; {hint}")
    return NewSink(name=name, does=sentence(does or name.replace("_", " ")), event=events[event])


def files_of(root: Path, sink: NewSink) -> Mapping[str, str]:
    """Return the new sink's files by their paths in the checkout."""
    revisions = _revisions(root)
    (head,) = revisions.keys() - revisions.values()
    words = {
        "name": sink.name,
        "class_name": sink.class_name,
        "does": sink.does,
        "does_begun": sink.does[0].upper() + sink.does[1:],
        "event": sink.event.__name__,
        "event_module": sink.event.__module__,
        "event_type": sink.event.type,
        "revision": f"{int(max(revisions)) + 1:04}",
        "head": head,
    }
    texts = {
        f"consumers/sinks/{sink.name}.py": templates.SINK,
        f"consumers/sinks/{sink.name}.sql": templates.QUERIES,
        f"moneyflow/sinks/models/{sink.name}.py": templates.MODELS,
        f"{_VERSIONS}/{words['revision']}_{sink.name}.py": templates.MIGRATION,
        f"tests/integration/test_{sink.name}_sink.py": templates.TEST,
    }
    return {path: text.substitute(words) for path, text in texts.items()}


def _revisions(root: Path) -> dict[str, str | None]:
    """Return each migration with the one that it follows."""
    found: dict[str, str | None] = {}
    for path in (root / _VERSIONS).glob("[0-9]*.py"):
        assigned = {
            node.targets[0].id: node.value.value
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        found[str(assigned["revision"])] = assigned["down_revision"]  # type: ignore[assignment] # a text or None
    return found
