"""Texts that a user writes: names of categories, notes and tags. They are free text: no event and no log has them."""

import unicodedata

LONGEST_NAME = 100
LONGEST_NOTE = 1000
LONGEST_TAG = 50
MOST_TAGS = 20

#: Classes of characters that are no text: controls, and the separators of lines and paragraphs.
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
#: A control that notes have.
_LINE_END = "\n"


def one_line(text: str) -> str:
    """Return a line without the spaces around it.

    Raises:
        ValueError: it is empty or has control characters.
    """
    line = text.strip()
    if not line or _has_controls(line):
        raise ValueError("must be one line of text that is not empty, without control characters")
    return line


def note_text(text: str) -> str:
    """Return a note, which may have several lines and may be empty.

    Raises:
        ValueError: it has control characters.
    """
    if _has_controls(text.replace(_LINE_END, "")):
        raise ValueError("must be text without control characters; lines end with \\n alone")
    return text


def unique_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags of which each is there once.

    Raises:
        ValueError: one is there twice.
    """
    if len(set(tags)) < len(tags):
        raise ValueError("must hold each tag once")
    return tags


def _has_controls(text: str) -> bool:
    # PERF: a printable text, as nearly all are, is looked at once; an emoji of several characters is not printable.
    return not text.isprintable() and any(unicodedata.category(character) in _CONTROLS for character in text)
