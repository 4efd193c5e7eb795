"""Fingerprints: equal failures share one, whatever ids, numbers and quoted values their texts have.

A fingerprint is made of the error's class, the place in our code and a hash of its text: none of them can be read back
as the text, so it may be stored and sent where personal data may not.
"""

import hashlib
from dataclasses import dataclass
from types import FrameType

from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry import tracebacks

#: Characters of a text that are compared; of a class and of a place.
_LONGEST_TEXT, _LONGEST_NAME = 2048, 200
#: Top-level packages whose frames are places of ours; others are libraries, which any of them may call.
_OURS = frozenset({"moneyflow", "api", "workers", "consumers", "mail_templates", "ops"})
#: What differs from case to case in texts that say the same: what is quoted, ids, numbers. A short quoted word, as the
#: name of a field, is what the text says: it stays.
_DIFFERS = Pattern(
    r"(?<!\w)(?P<word>\"[A-Za-z_]{1,24}\"|'[A-Za-z_]{1,24}')|\"[^\"]*\"|(?<!\w)'[^']*'|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|0x[0-9a-fA-F]+|\d+(?:[.:]\d+)*",
    longest=_LONGEST_TEXT,
)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What is known of a failure without its text: its class, its place and what both and the text hash to."""

    error_class: str
    place: str
    value: str


def fingerprint_of(error: BaseException) -> Fingerprint:
    """Return the fingerprint of an error that was raised; of a group with one member, that of the member."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    error_class, place = _name(type(error)), _place(error)
    text = without_values(tracebacks.text_of(error)[:_LONGEST_TEXT])
    value = hashlib.sha256(f"{error_class}\n{place}\n{text}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return Fingerprint(error_class=error_class, place=place, value=value)


def without_values(text: str) -> str:
    """Return a text without what differs from case to case, so that failures of one cause are counted together."""
    return _DIFFERS.sub(lambda found: found["word"] or "…", text)


def _place(error: BaseException) -> str:
    """Return the innermost function of ours as module:function, else the innermost of all; empty if none is known."""
    innermost: FrameType | None = None
    ours: FrameType | None = None
    cause = error.__cause__ if error.__traceback__ is None else None
    step = (cause or error).__traceback__
    while step is not None:
        innermost, step = step.tb_frame, step.tb_next
        if _module(innermost).partition(".")[0] in _OURS:
            ours = innermost
    return _function(ours or innermost)


def _function(frame: FrameType | None) -> str:
    return f"{_module(frame)}:{frame.f_code.co_qualname}"[:_LONGEST_NAME] if frame else ""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _name(kind: type[BaseException]) -> str:
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[:_LONGEST_NAME]
