"""Handlers: the function that runs a kind of job, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from moneyflow.database import Session
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.base import Job
from moneyflow.settings import Settings

J = TypeVar("J", bound=Job)
Result = dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The outside world as handlers use it; wired once, in `workers/__main__.py`."""

    settings: Settings
    mailer: Mailer


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a handler works with.

    What it writes by `session`, and the jobs and events it leaves there, commit together with the end of the job.
    """

    session: Session
    job_id: UUID
    attempt: int
    tools: Tools


Handler = Callable[[Context, Any], Result]

#: The handler of each kind; filled when `workers.jobs` is imported.
registry: dict[str, Handler] = {}


def handles(contract: type[J]) -> Callable[[Callable[[Context, J], Result]], Callable[[Context, J], Result]]:
    """Declare the handler of a job: `@handles(SendEmail)`. It may return a small dictionary as the job's result."""

    def declare(handler: Callable[[Context, J], Result]) -> Callable[[Context, J], Result]:
        if contract.kind in registry:
            raise TypeError(f"{contract.kind} has a handler already: {registry[contract.kind]!r}")
        registry[contract.kind] = handler
        return handler

    return declare
