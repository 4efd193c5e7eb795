"""Texts that a user writes: names of categories, notes and tags. They are free text: no event and no log has them."""

from moneyflow.platform.patterns import Pattern

LONGEST_NAME = 100
LONGEST_NOTE = 1000
LONGEST_TAG = 50
MOST_TAGS = 20

#: Any characters but controls and the separators of lines and paragraphs. Emoji of several characters are text.
_LINE = Pattern(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+", longest=LONGEST_NAME)
_LINES = Pattern(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]*", longest=LONGEST_NOTE)


def one_line(text: str) -> str:
    """Return a line without the spaces around it.

    Raises:
        ValueError: it is empty, too long, or has control characters.
    """
    line = text.strip()
    if not _LINE.fullmatch(line):
        raise ValueError(f"must be one line of 1 to {LONGEST_NAME} characters, without control characters")
    return line


def note_text(text: str) -> str:
    """Return a note, which may have several lines and may be empty.

    Raises:
        ValueError: it is too long or has control characters.
    """
    if not _LINES.fullmatch(text):
        raise ValueError(
            f"must have at most {LONGEST_NOTE} characters and no control characters; lines end with \\n alone"
        )
    return text


def unique_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags of which each is there once.

    Raises:
        ValueError: one is there twice.
    """
    if len(set(tags)) < len(tags):
        raise ValueError("must hold each tag once")
    return tags
