"""Mail headers as bytes, by RFC 5322 and RFC 2047.

SECURITY: written here and not by Python's `email`, which decodes encoded words in the values that it is given, and
before 3.11.10, 3.12.5 and 3.13 writes the line breaks that come out of them.
"""

import base64
from collections.abc import Sequence

from moneyflow.platform.patterns import Pattern

#: Characters of a line before it is folded; one word may be longer, as names and addresses are shorter than the 998
#: characters that RFC 5322 allows.
_LINE = 78
#: Bytes of text in an encoded word: 52 characters of base64, so that it fits a line with any name of a header.
_WORD_BYTES = 39
_ATOMS = Pattern(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", longest=1_000)


def text_header(name: str, text: str) -> bytes:
    """Return a header whose value is text: as it is where that is safe and short, else as encoded words."""
    as_it_is = _is_plain(text) and len(name) + 2 + len(text) <= _LINE
    return _folded(name, [text] if as_it_is else _encoded_words(text))


def address_header(name: str, *, display_name: str, address: str) -> bytes:
    """Return a header with one address; the display name is an atom, a quoted string, or encoded words."""
    if not display_name:
        return _folded(name, [address])
    return _folded(name, [*_phrase(display_name), f"<{address}>"])


def _phrase(text: str) -> Sequence[str]:
    if not _is_plain(text):
        return _encoded_words(text)
    if _ATOMS.fullmatch(text):
        return [text]
    return ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']


def _is_plain(text: str) -> bool:
    """Return whether every reader shows the text as it is: visible ASCII without encoded words and spaces around."""
    return text.isascii() and text.isprintable() and "=?" not in text and text == text.strip()


def _encoded_words(text: str) -> list[str]:
    """Return the text as encoded words in base64, each with whole characters."""
    chunks = [b""]
    for character in text:
        encoded = character.encode()
        if len(chunks[-1]) + len(encoded) > _WORD_BYTES:
            chunks.append(b"")
        chunks[-1] += encoded
    return [f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in chunks]


def _folded(name: str, words: Sequence[str]) -> bytes:
    """Return the header with its words on as many lines as they need."""
    lines = [f"{name}:"]
    for position, word in enumerate(words):
        if position and len(lines[-1]) + 1 + len(word) > _LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines).encode() + b"\r\n"
