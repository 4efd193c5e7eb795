"""Groups of errors: the text of an error without what differs between two of one cause."""

from moneyflow.platform.patterns import Pattern

_LONGEST = 200
#: What differs in messages that say the same: what is quoted, ids, numbers. A short quoted word, as the name of a
#: field, is what the message says: it stays.
_DIFFERS = Pattern(
    r"(?<!\w)(?P<word>\"[A-Za-z_]{1,24}\"|'[A-Za-z_]{1,24}')|\"[^\"]*\"|(?<!\w)'[^']*'|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|0x[0-9a-fA-F]+|\d+(?:[.:]\d+)*",
    longest=2 * 1024,
)


def error_group(message: str) -> str:
    """Return the message without what differs from one failure to the next, so that one cause is counted together."""
    return _DIFFERS.sub(lambda found: found["word"] or "…", message)[:_LONGEST]
