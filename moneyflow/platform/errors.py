"""Error tree: every expected error is a `MoneyFlowError`; any other exception is a bug.

Each process maps the tree in one place: the API to an HTTP status (`api/problems.py`), the worker to retry or fail
(`workers/outcome.py`), a consumer to dead-letter or pause (`consumers/runtime.py`).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class MoneyFlowError(Exception):
    """Base of all expected errors; `detail` may be shown to the client.

    `about` names the thing that the error is about, such as `job`: a front end adds its own way to look at it.
    """

    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, about: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.about = about


class InvalidInputError(MoneyFlowError):
    """Invalid input; `errors` holds pairs of a JSON pointer and what to change there."""

    title = "Invalid input"

    def __init__(self, detail: str, errors: tuple[tuple[str, str], ...] = (), *, about: str | None = None) -> None:
        super().__init__(detail, about=about)
        self.errors = errors


class UnauthenticatedError(MoneyFlowError):
    """The caller is not signed in, or its credentials are wrong."""

    title = "Not signed in"


class ForbiddenError(MoneyFlowError):
    """The caller is signed in and may not do this."""

    title = "Not allowed"


class NotFoundError(MoneyFlowError):
    """The object does not exist, or the client may not see it."""

    title = "Not found"


class ConflictError(MoneyFlowError):
    """The request conflicts with the current state."""

    title = "Conflict"


class InProgressError(ConflictError):
    """The same request is running; the client may repeat it after `retry_after_seconds`."""

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class PreconditionFailedError(MoneyFlowError):
    """An update names another state than the current one; the caller reads again and repeats its change."""

    title = "Precondition failed"


class PreconditionRequiredError(MoneyFlowError):
    """An update names no state; the caller reads first, and sends the `ETag` of its read."""

    title = "Precondition required"


class BusyError(MoneyFlowError):
    """No capacity is free; the client may retry after `retry_after_seconds`."""

    title = "Busy"

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(MoneyFlowError):
    """The caller made too many requests; it may repeat this one after `retry_after_seconds`."""

    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_seconds: int, headers: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        self.headers = headers


class UnavailableError(MoneyFlowError):
    """An outside service is down or asks to retry later; a retry may succeed."""

    title = "Service unavailable"


class PostgresDownError(UnavailableError):
    """Postgres is down; workers wait for it, and the attempt does not count."""


class KafkaDownError(UnavailableError):
    """Kafka is down; consumers wait for it, and replace a client that does not recover."""


class PermanentError(MoneyFlowError):
    """The same call will never succeed: it is not retried."""

    title = "Permanent error"


class UnreadableError(MoneyFlowError):
    """This process cannot read what is stored; the job or record is kept until a process that can is deployed."""

    title = "Unreadable"


class UnknownVersionError(UnreadableError):
    """This process does not know the stored version; a newer process does."""

    title = "Unknown version"


class JobCancelledError(MoneyFlowError):
    """The running job was asked to cancel: its handler stops here, and its transaction is rolled back."""

    title = "Cancelled"


class PoisonError(MoneyFlowError):
    """Poison message: a record or message that no process can ever read."""

    title = "Poison message"


class FenceLostError(MoneyFlowError):
    """Fence lost: another process has taken over this work, so this transaction is rolled back."""

    title = "Fence lost"


class ConfigurationError(MoneyFlowError):
    """Invalid settings; the text, and each of the `problems`, names the variable and what to do."""

    title = "Configuration"

    def __init__(self, detail: str, problems: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.problems = tuple(problems) or (detail,)
