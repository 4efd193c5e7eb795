"""The last look at a message before it is sent: it is read again, and must have its own headers and no others.

SECURITY: the reader shares nothing with what wrote the message: it splits bytes and decodes no header.
"""

from collections.abc import Mapping
from email import policy
from email.message import Message
from email.parser import BytesParser
from typing import Any

from moneyflow.platform.errors import PermanentError
from moneyflow.platform.patterns import Pattern

_HEADERS = [
    "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
_PART_HEADERS = ["Content-Type", "Content-Transfer-Encoding"]
#: One address, alone or in angle brackets after a display name: atoms, encoded words, or one quoted string.
_ONE_ADDRESS = Pattern(r'(?:(?:"(?:[^"\\]|\\.)*"\s+|[^"<>()@,;:\\]+\s)(?=<))?<?([^\s<>"(),;:]+)>?', longest=2_000)
#: Bytes of the longest line that a server has to take, by RFC 5322.
_LONGEST_LINE = 998


def check_message(content: bytes, *, sender: str, recipient: str, texts: Mapping[str, bytes]) -> None:
    """Return when the message has exactly its own headers, each once, its one recipient and its texts.

    Raises:
        PermanentError: it has not. It is not sent, and no further attempt would change that.
    """
    found = _fault(content, sender=sender, recipient=recipient, texts=texts)
    if found:
        raise PermanentError(f"the mail was not sent: its message has {found}; correct the values of its template")


def _fault(content: bytes, *, sender: str, recipient: str, texts: Mapping[str, bytes]) -> str | None:
    lines = content.replace(b"\r\n", b"")
    if any(character in lines for character in (b"\r", b"\n", b"\x00")):
        return "a bare line break or a NUL"
    if max(map(len, content.split(b"\r\n"))) > _LONGEST_LINE:
        return f"a line of more than {_LONGEST_LINE} bytes"
    message = BytesParser(policy=policy.compat32).parsebytes(content)
    if message.keys() != _HEADERS or message.defects:
        return f"the headers {', '.join(message.keys())} and not exactly its own"
    if (_address(message, "From"), _address(message, "To")) != (sender, recipient):
        return "another sender or recipient than its own"
    return _fault_of_parts(message, texts)


def _fault_of_parts(message: Message, texts: Mapping[str, bytes]) -> str | None:
    if message.get_content_type() != "multipart/alternative" or not message.is_multipart():
        return "another type than its own"
    parts: list[Any] = list(message.get_payload())
    if [part.get_content_type() for part in parts] != [f"text/{name}" for name in texts]:
        return "other parts than its own"
    for part, text in zip(parts, texts.values(), strict=True):
        if part.keys() != _PART_HEADERS or part.defects:
            return f"a part with the headers {', '.join(part.keys())}"
        if part.get_payload(decode=True).replace(b"\r\n", b"\n").removesuffix(b"\n") != text.removesuffix(b"\n"):
            return "another text than its own"
    return None


def _address(message: Message, name: str) -> str | None:
    """Return the address of a header; None when the header does not have exactly one."""
    (raw,) = [value for key, value in message.raw_items() if key == name]
    value = raw.encode("ascii", "surrogateescape").decode()
    found = _ONE_ADDRESS.fullmatch(value)
    return found[1] if found else None
