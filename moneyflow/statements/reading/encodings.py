"""Encodings: the one of a file is found by its mark, else it is UTF-8 where all of it is, else Windows-1252."""

import codecs
from typing import Literal

from moneyflow.platform.errors import InvalidInputError

#: What a mapping may name.
Encoding = Literal[
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252", "iso-8859-1", "iso-8859-15", "windows-1250",
    "windows-1251", "macintosh", "shift_jis", "gb18030", "big5", "euc-kr",
]  # fmt: skip

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WITHOUT_MARK = ("utf-16-le", "utf-16-be")
#: Bytes that show whether a file is text.
_SEEN = 8192
#: What a file begins with that is no text, whatever its name says.
_OTHER_FILES = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet (.xlsx, .ods); export it as CSV and send that"),
    (b"PK\x05\x06", "a zip archive; unpack it and send the statement in it"),
    (b"\x1f\x8b", "compressed by gzip; unpack it and send the statement in it"),
    (b"%PDF", "a PDF; send the statement as OFX or CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls); export it as CSV and send that"),
    (b"\x89PNG", "an image; send the statement as OFX or CSV"),
    (b"\xff\xd8\xff", "an image; send the statement as OFX or CSV"),
)
#: The part of a statement, at least, that is digits, delimiters and Latin letters.
_LATIN = 0.1


def codec_of(encoding: Encoding) -> str:
    """Return Python's codec of an encoding; that of UTF-8 drops the mark at the beginning, if there is one."""
    return {"utf-8": "utf-8-sig", "macintosh": "mac_roman"}.get(encoding, encoding)


def name_of(codec: str) -> str:
    """Return the encoding of a codec."""
    return {"utf-8-sig": "utf-8", "mac_roman": "macintosh"}.get(codec, codec)


class Utf8Scan:
    """Whether the pieces of a file, as they come, are UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.is_valid = True

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        if self.is_valid:
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError:
                self.is_valid = False


def find_encoding(head: bytes, *, is_utf8: bool) -> str:
    """Return the encoding of a file by its first bytes; `is_utf8` says whether all of it, or the head, is UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:  # UTF-16 without its mark.
        return max(_WITHOUT_MARK, key=lambda encoding: _latin(head, encoding))
    return "utf-8" if is_utf8 else "windows-1252"


def _latin(head: bytes, encoding: str) -> float:
    """Return which part of a text is Latin; 0 where it has a character that no text has."""
    text = head.decode(encoding, "replace")
    return 0.0 if "\0" in text else sum(one < "\u0100" for one in text) / max(len(text), 1)


def check_text(head: bytes) -> None:
    """Refuse what is no text.

    Raises:
        InvalidInputError: it is empty, an archive, an image or another binary file; names it, and what to send.
    """
    if not head.strip(b" \t\r\n\0"):
        raise refused_file("is empty; export the statement again")
    for start, what in _OTHER_FILES:
        if head.startswith(start):
            raise refused_file(f"is {what}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" not in head:
        return
    start = head[:_SEEN]
    if max(_latin(start, encoding) for encoding in _WITHOUT_MARK) < _LATIN:
        raise refused_file("is a binary file; send the statement as OFX or CSV")


def refused_file(problem: str) -> InvalidInputError:
    """Return the error about the file as a whole."""
    return InvalidInputError(f"the file {problem}", (("/file", problem),))
