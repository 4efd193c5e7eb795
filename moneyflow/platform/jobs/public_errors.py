"""Public errors: what a job's owner reads about a failure, a code and a sentence for each kind of failure.

SECURITY: the error's own text is for operators. It may hold what a server outside says, such as "no such mailbox", or
a path, a host or a query.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from moneyflow.platform.errors import (
    ConflictError,
    InvalidInputError,
    JobCancelledError,
    MoneyFlowError,
    NotFoundError,
    PermanentError,
    UnavailableError,
    UnreadableError,
)


@dataclass(frozen=True)
class PublicError:
    """The code, which programs compare and which never changes, and the sentence for people."""

    code: str
    message: str


_IMPOSSIBLE = PublicError("not_possible", "the job cannot be done as it was asked for; change the request")
_CANCELLED = PublicError("cancelled", "the job was cancelled")
_NOT_READY = PublicError("not_ready", "what the job needs is not there yet; it is run again")
_BUG = PublicError("internal_error", "this is an error of the server; report the job's id if it persists")

#: The classes of the error tree, the first that fits.
_OF_THE_TREE: tuple[tuple[type[MoneyFlowError], PublicError], ...] = (
    (
        UnavailableError,
        PublicError("service_unavailable", "a service that the job needs is down or asks to come later"),
    ),
    (UnreadableError, PublicError("not_supported_yet", "the servers are being updated; the job runs afterwards")),
    (InvalidInputError, PublicError("invalid_input", "the job's input is not valid; change the request")),
    (NotFoundError, PublicError("not_found", "what the job is about does not exist any more")),
    (ConflictError, PublicError("conflict", "the job conflicts with the current state; read it again")),
    (JobCancelledError, _CANCELLED),
    (PermanentError, _IMPOSSIBLE),
)
#: Names that the worker keeps for endings that a handler returned and for a dead process, and an error of the tree that
#: is a fault of the handler.
_BY_NAME = {
    "Cancel": _CANCELLED,
    "Fail": _IMPOSSIBLE,
    "InvalidResultError": _BUG,
    "RetryIn": _NOT_READY,
    "Snooze": _NOT_READY,
    "WorkerLostError": PublicError("interrupted", "the process that ran the job ended; the job is run again"),
}


def public_error(error_class: str) -> PublicError:
    """Return what is public of a failure, by the name of its error's class as it is kept with the job."""
    if error_class in _BY_NAME:
        return _BY_NAME[error_class]
    found = next((one for one in _classes(MoneyFlowError) if one.__name__ == error_class), MoneyFlowError)
    return next((public for kind, public in _OF_THE_TREE if issubclass(found, kind)), _BUG)


def _classes(base: type[MoneyFlowError]) -> Iterator[type[MoneyFlowError]]:
    yield base
    for child in base.__subclasses__():
        yield from _classes(child)
