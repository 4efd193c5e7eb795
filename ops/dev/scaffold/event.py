"""The files of a new event: its contract, its topic where that is new too, and its test; they pass every check."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moneyflow.events import Event, registry
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.events.topics import SYSTEM_EVENTS
from moneyflow.platform.patterns import Pattern
from ops.dev.scaffold.event_templates import CONTRACT, MODULE, TEST, TOPIC
from ops.dev.scaffold.job import sentence
from ops.dev.scaffold.payload import USER, Field, call, fields_of, imports

TOPICS = "moneyflow/events/topics.py"
#: Characters; a line of a file holds the type twice.
_LONGEST_TYPE = 40
_TYPE = Pattern(r"[a-z]+\.[a-z]+(_[a-z]+)*", longest=100)
#: Words that the written files use themselves, and modules that are there for something else.
_USED = frozenset({"topics", "event", "events", "test"})


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event that is written: its type, what it says, its data, and the fields that are its subject and its key."""

    type: str
    does: str
    fields: tuple[Field, ...]
    subject: str
    key: str

    @property
    def noun(self) -> str:
        """What the event is about; its module and its topic are named after it."""
        return self.type.partition(".")[0]

    @property
    def topic(self) -> str:
        """The topic of its noun."""
        return f"{self.noun}.events"

    @property
    def constant(self) -> str:
        """The name of its topic in the code."""
        return f"{self.noun.upper()}_EVENTS"

    @property
    def contract(self) -> str:
        """The name of its class."""
        return "".join(part.capitalize() for part in self.type.replace(".", "_").split("_"))

    @property
    def module(self) -> str:
        """The path of its module."""
        return f"moneyflow/events/{self.noun}.py"

    @property
    def test(self) -> str:
        """The path of its test."""
        return f"tests/integration/test_{self.type.replace('.', '_')}_event.py"


def new_event(type: str, *, does: str | None = None, with_user: bool = True, fields: Sequence[str] = ()) -> NewEvent:
    """Return the event that the options describe; on a topic that there is, with the key and subject of its others.

    Raises:
        InvalidInputError: an option is not valid; names it.
        ConflictError: there is such an event already.
    """
    if not _TYPE.fullmatch(type) or len(type) > _LONGEST_TYPE or type.partition(".")[0] in _USED:
        raise InvalidInputError(
            f"NAME: {type!r} is not of the form invoice.sent: what it is about, a dot, and what happened, in lower "
            f"case, at most {_LONGEST_TYPE} characters in all"
        )
    if type in registry:
        raise ConflictError(f"there is an event {type} already, in {registry[type].__module__}; choose another name")
    noun = type.partition(".")[0]
    subject, key = _subject_and_key(noun, with_user=with_user)
    ids = [Field(name=name, type="UUID") for name in dict.fromkeys((key, subject))]
    given = fields_of(fields, with_user=False, contract=Event)
    if taken := {field.name for field in ids} & {field.name for field in given}:
        raise InvalidInputError(f"--field: {', '.join(taken)} is the subject or the key, which the event has anyway")
    words = sentence(does or f"{type.replace('.', ' ').replace('_', ' ')}")
    return NewEvent(type=type, does=words, fields=(*ids, *given), subject=subject, key=key)


def _subject_and_key(noun: str, *, with_user: bool) -> tuple[str, str]:
    topic = f"{noun}.events"
    if topic == SYSTEM_EVENTS:
        raise InvalidInputError("NAME: events of the platform itself are in moneyflow/platform/events/system.py")
    known = [(one.subject_field, one.key_field) for one in registry.values() if one.topic == topic]
    if not known:
        subject = f"{noun}_id"
        return subject, USER.name if with_user else subject
    ((subject, key), _), *_ = Counter(known).most_common()
    if not with_user and key == USER.name:
        raise InvalidInputError(f"--no-user: {topic} is in order per user; leave the option out")
    return subject, key


def files_of(root: Path, event: NewEvent) -> Mapping[str, str]:
    """Return the texts of the files that are written or changed, by their paths in the checkout."""
    texts = {event.module: _with_contract(root, event), event.test: TEST.substitute(_words(event))}
    declared = (root / TOPICS).read_text(encoding="utf-8")
    if f'"{event.topic}"' not in declared:
        texts[TOPICS] = declared + TOPIC.substitute(constant=event.constant, topic=event.topic)
    return {path: _formatted(root, path, text) for path, text in texts.items()}


def _with_contract(root: Path, event: NewEvent) -> str:
    """Return the module of the event's noun with its class at the end."""
    words, file = _words(event), root / event.module
    before = file.read_text(encoding="utf-8") if file.exists() else MODULE.substitute(words)
    tree = ast.parse(before)
    if event.contract in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}:
        raise ConflictError(f"nothing was written: {event.module} has a class {event.contract} already")
    # The imports go after the last one, and are put in order by the linter.
    last = max(node.end_lineno or 0 for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    lines = before.splitlines()
    merged = [*lines[:last], *imports(event.fields).split("\n"), *lines[last:]]
    return "\n".join(merged) + CONTRACT.substitute(words)


def _words(event: NewEvent) -> dict[str, str]:
    """Return what fills the templates in."""
    own_key = f', key="{event.key}"' if event.key != event.subject else ""
    sequence = Field(name="sequence", type="int")
    return {
        "type": event.type,
        "noun": event.noun,
        "topic": event.topic,
        "constant": event.constant,
        "contract": event.contract,
        "does_begun": event.does[0].upper() + event.does[1:],
        "subject": event.subject,
        "key": event.key,
        "own_key": own_key,
        "fields": "".join(f"{field.declared}\n" for field in event.fields),
        "test": event.type.replace(".", "_"),
        "imports": imports(event.fields, values=True),
        "call": call(event.contract, (sequence, *event.fields), indent=4),
    }


def _formatted(root: Path, path: str, text: str) -> str:
    """Return a text as the linter orders its imports and the formatter breaks its lines."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    ours = 'lint.isort.known-first-party=["moneyflow", "tests"]'  # The new module is not there yet.
    for words in (["check", "--select=I,F401", "--fix", "--quiet", "--config", ours], ["format", "--quiet"]):
        command = [ruff, *words, "--no-cache", f"--stdin-filename={path}", "-"]
        done = subprocess.run(command, cwd=root, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConflictError(f"nothing was written: {path} would not be valid: {done.stderr.strip()}")
        text = done.stdout
    return text
