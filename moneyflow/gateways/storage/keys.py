"""Keys of files: `private/ab/ab93….csv`. 128 random bits, so that no one guesses the address of another's file.

A file that is kept for itself, without a row in `files`, has a name that can be found: `kept/audit_checkpoints/….json`.

Keys are ASCII: their order is the same in Python, in a bucket, and in Postgres (collation "C").
"""

import secrets
from typing import Literal

from moneyflow.platform.patterns import Pattern

#: Whom a key is for: public files are served by `/storage/`, private ones by `/v1/files/{id}` to their owner alone.
Area = Literal["public", "private"]

_SUFFIX = Pattern(r"(\.[a-z0-9]{1,10})?", longest=11)
_VARIANT = Pattern(r"[a-z0-9]{1,10}", longest=10)
_KEY = Pattern(r"(public|private)/([0-9a-f]{2})/\2[0-9a-f]{30}(-[a-z0-9]{1,10})?(\.[a-z0-9]{1,10})?", longest=75)
_KEPT = Pattern(r"kept/[a-z_]{1,40}/[0-9A-Za-z]{1,40}\.[a-z0-9]{1,10}", longest=97)


def new_key(area: Area, suffix: str = "") -> str:
    """Return a new key; `suffix` is empty, or a type such as `.webp`.

    Raises:
        ValueError: the suffix is not of that form.
    """
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"suffix {suffix!r}: give none, or a point and 1 to 10 lower-case letters and digits")
    token = secrets.token_hex(16)
    return f"{area}/{token[:2]}/{token}{suffix}"


def variant(key: str, name: str) -> str:
    """Return the key of another form of a file, beside it: `public/ab/ab93….webp` and `64` give `…ab93…-64.webp`.

    Raises:
        ValueError: the name is not of 1 to 10 lower-case letters and digits.
    """
    if not _VARIANT.fullmatch(name):
        raise ValueError(f"variant {name!r}: give 1 to 10 lower-case letters and digits")
    stem, point, suffix = check_key(key).partition(".")
    return check_key(f"{stem}-{name}{point}{suffix}")


def kept_key(folder: str, name: str) -> str:
    """Return the key of a file that is kept without a row: no sweep deletes it.

    Raises:
        ValueError: the folder is not of small letters, or the name not of letters and digits with a type.
    """
    return check_key(f"kept/{folder}/{name}")


def is_key(text: str) -> bool:
    """Return whether a text has the form of a key of a file with a row: it then leads to no other folder."""
    return _KEY.fullmatch(text) is not None


def is_kept(text: str) -> bool:
    """Return whether a text has the form of the key of a file that is kept without a row."""
    return _KEPT.fullmatch(text) is not None


def check_key(key: str) -> str:
    """Return the key.

    Raises:
        ValueError: it does not have the form of a key.
    """
    if not (is_key(key) or is_kept(key)):
        raise ValueError(f"{key[:100]!r} is no key of a file; make one with new_key()")
    return key
