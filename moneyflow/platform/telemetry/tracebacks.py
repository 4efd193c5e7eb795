"""Tracebacks as text of a bounded length, whatever the error's text, its causes and the depth of its calls are."""

import traceback
from collections.abc import Callable, Iterator
from itertools import islice

#: Errors of one traceback, with causes and members of groups; calls of one error; notes of one error.
_MOST_ERRORS = 10
_MOST_CALLS = 50
_MOST_NOTES = 10
#: Characters of one error's text.
_LONGEST_TEXT = 2048

_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"

#: Returns the beginning of a text, at most a number of characters of it.
Cut = Callable[[str, int], str]


def text_of(error: object) -> str:
    """Return the text of an error or of its note; an error whose text cannot be made has failed all the same."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - whatever its class raises must not hide the error, nor end the process
        return "(the error has no text)"


def formatted(error: BaseException, *, cut: Cut = lambda text, limit: text[:limit]) -> str:
    """Return the traceback of an error and its causes, the causes first as Python does; `cut` shortens each text."""
    return "".join(_formatted(error, cut))


def _formatted(error: BaseException, cut: Cut) -> Iterator[str]:
    for one, follows in reversed(list(islice(_with_causes(error), _MOST_ERRORS))):
        yield from _one(one, cut)
        members = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        for number, member in enumerate(members[:_MOST_ERRORS], 1):
            yield f"\nMember {number} of {len(members)}:\n\n"
            yield from _one(member, cut)
        yield follows


def _with_causes(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield the error and its causes, each with the line that follows it; a cause may refer back to its error."""
    seen: set[int] = set()
    current: BaseException | None = error
    follows = ""
    while current is not None and id(current) not in seen:
        yield current, follows
        seen.add(id(current))
        if current.__cause__ is not None:
            current, follows = current.__cause__, _CAUSED
        else:
            current, follows = None if current.__suppress_context__ else current.__context__, _DURING


def _one(error: BaseException, cut: Cut) -> Iterator[str]:
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        for call in traceback.format_tb(error.__traceback__, limit=-_MOST_CALLS):
            yield cut(call, _LONGEST_TEXT)
    text = cut(text_of(error), _LONGEST_TEXT)
    yield f"{_name(type(error))}: {text}\n" if text else f"{_name(type(error))}\n"
    notes = getattr(error, "__notes__", None)
    for note in notes[:_MOST_NOTES] if isinstance(notes, list | tuple) else ():
        yield f"{cut(text_of(note), _LONGEST_TEXT)}\n"


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
