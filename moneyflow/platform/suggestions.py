"""Spelling suggestions: the known name that is closest to an unknown one."""

import difflib
from collections.abc import Iterable

#: Characters of a name that are compared: difflib needs quadratic time, and no known name is longer.
_COMPARED = 100
#: Share of characters in common from which a name is suggested; difflib's own default.
_CUTOFF = 0.6


def nearest(name: str, known: Iterable[str], *, cutoff: float = _CUTOFF) -> str | None:
    """Return the known name that is closest to `name`, or None when none is similar enough."""
    found = difflib.get_close_matches(name[:_COMPARED], list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str) -> str:
    """Return `did you mean X?` for an unknown name, or `otherwise` when no known name is similar."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else otherwise
