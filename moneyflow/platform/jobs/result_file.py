"""The result file of a job: what a handler returns; the worker stores it with the end of the job."""

from dataclasses import dataclass

from moneyflow.platform.errors import PermanentError
from moneyflow.platform.patterns import ASCII, Pattern

#: Bytes; a worker holds the whole file in memory. A handler that writes more streams it to the storage itself.
MAX_FILE_BYTES = 16 * 1024 * 1024

_NAME = Pattern(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,255}", longest=255)
_CONTENT_TYPE = Pattern(r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?[\w-]{1,50}=[\w.-]{1,50}){0,5}", longest=730, flags=ASCII)


@dataclass(frozen=True, kw_only=True)
class File:
    """A result file: a handler returns one, and it is stored for as long as its job's row."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"

    def check(self) -> None:
        """Check that the file can be stored and served.

        Raises:
            PermanentError: its name, its type or its content does not fit; a retry would not change that.
        """
        for field, wanted in (("name", str), ("content_type", str), ("content", bytes)):
            if not isinstance(getattr(self, field), wanted):
                given = type(getattr(self, field)).__name__
                raise PermanentError(f"the file's {field} is of type {given}: give {wanted.__name__}")
        if not _NAME.fullmatch(self.name):
            raise PermanentError(f"the file's name {self.name!r} does not fit: give 1 to 255 characters without a path")
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise PermanentError(f"the file's content_type {self.content_type!r} does not fit: use the form text/csv")
        if len(self.content) > MAX_FILE_BYTES:
            raise PermanentError(f"the file's content has {len(self.content)} bytes; return at most {MAX_FILE_BYTES}")
