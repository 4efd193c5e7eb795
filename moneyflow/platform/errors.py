"""The one tree of expected errors; what is outside it is a bug.

Each process reads the tree in its own way, in one place: the API as an HTTP status (`api/problems.py`), the
worker as retry or fail (`workers/outcome.py`), a consumer as dead-letter or pause (`consumers/runtime.py`).
"""

from typing import ClassVar


class MoneyFlowError(Exception):
    """Something that is expected to go wrong now and then; `detail` may be shown to who asked."""

    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidInputError(MoneyFlowError):
    """What was given does not fit; `errors` holds pairs of JSON pointer and what to change there."""

    title = "The request does not fit"

    def __init__(self, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


class NotFoundError(MoneyFlowError):
    """What was asked for does not exist, or not for who asks."""

    title = "Not found"


class ConflictError(MoneyFlowError):
    """The request does not go with what is there now."""

    title = "Conflict"


class PreconditionFailedError(MoneyFlowError):
    """An update names another state than the current one; the caller reads again and repeats its change."""

    title = "Precondition failed"


class BusyError(MoneyFlowError):
    """All places are taken for a moment; ask again after `retry_after_seconds`."""

    title = "Busy"

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(MoneyFlowError):
    """Something outside does not answer or says 'later'; the same call may work in a while."""

    title = "Not available now"


class PostgresDownError(UnavailableError):
    """Postgres does not answer; whoever works waits for it and burns no attempt."""


class PermanentError(MoneyFlowError):
    """The same call will never work; retrying it is of no use."""

    title = "Refused for good"


class UnknownVersionError(MoneyFlowError):
    """What was stored is of a version that nobody here can read; it is kept until somebody can."""

    title = "Unknown version"


class JobCancelledError(MoneyFlowError):
    """Somebody asked to cancel the job that runs; its handler stops here and what it did is dropped."""

    title = "Cancelled"


class PoisonError(MoneyFlowError):
    """A record or message is itself bad: whoever reads it, whenever, cannot use it."""

    title = "Bad record"


class FenceLostError(MoneyFlowError):
    """Somebody else has taken over what this process was working on; its work must be dropped."""

    title = "Taken over"


class ConfigurationError(MoneyFlowError):
    """The settings do not fit; the text names every problem and what to do."""

    title = "Configuration"
