"""Handlers: the function that runs a kind of job, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from moneyflow.gateways.mail import Mailer
from moneyflow.platform.database import Session
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.store.files import File
from moneyflow.platform.settings import Settings
from workers.outcome import Cancel, Fail, Result, RetryIn, Snooze
from workers.progress import Progress

__all__ = [
    "Cancel",
    "Context",
    "Fail",
    "File",
    "Handler",
    "Handlers",
    "Result",
    "RetryIn",
    "Snooze",
    "Tools",
    "handles",
    "registry",
]

J = TypeVar("J", bound=Job)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The outside world as handlers use it; wired once, in `workers/__main__.py`."""

    settings: Settings
    mailer: Mailer


def _nobody_asks(_: object) -> bool:
    """Keep no progress and cancel nothing: for a handler that is called as a plain function."""
    return False


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a handler works with.

    What it writes by `session`, and the jobs and events it leaves there, commit together with the end of the job.
    `attempt` is the number of this try, from 1.
    """

    session: Session
    job_id: UUID
    attempt: int
    tools: Tools
    reporter: Progress = field(default_factory=lambda: Progress(_nobody_asks))

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far the job is; seen in `GET /v1/jobs/{id}` at once, whatever becomes of the job's transaction.

        Call it as often as you like: it is told at most once a second. A job that somebody asked to cancel ends here.

        Raises:
            JobCancelledError: let it through; what the job did is dropped.
        """
        self.reporter(done, total, note)

    def checkpoint(self) -> None:
        """End here when somebody asked to cancel the job, between two batches for example; raises as `progress`."""
        self.reporter.check()


Handler = Callable[[Context, J], Result]
#: Handlers by the kind of their jobs; each is called with jobs of its own contract only.
Handlers = Mapping[str, Callable[[Context, Any], Result]]

#: The handler of each kind; filled when `workers.jobs` is imported.
registry: dict[str, Callable[[Context, Any], Result]] = {}


def handles(contract: type[J]) -> Callable[[Handler[J]], Handler[J]]:
    """Declare the handler of a job: `@handles(SendEmail)`.

    It may return a small dictionary or a `File` as the job's result, or how else than well the try ends: `RetryIn`,
    `Snooze`, `Cancel` or `Fail`.
    """

    def declare(handler: Handler[J]) -> Handler[J]:
        if contract.kind in registry:
            raise TypeError(f"{contract.kind} has a handler already: {registry[contract.kind]!r}")
        registry[contract.kind] = handler
        return handler

    return declare
