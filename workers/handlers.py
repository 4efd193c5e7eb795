"""Handlers: the function that runs a kind of job, its context, and the gateways that it asks for."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.result_file import File
from workers.outcome import Cancel, Fail, Result, RetryIn, Snooze
from workers.progress import Progress

__all__ = [
    "Cancel",
    "Context",
    "Fail",
    "File",
    "Gateways",
    "Handler",
    "Handlers",
    "Result",
    "RetryIn",
    "Snooze",
    "bind",
    "handles",
    "registry",
]

J = TypeVar("J", bound=Job)
P = ParamSpec("P")

#: The parameters of every handler, before its gateways: the context and the job.
_OWN_PARAMETERS = 2


def _no_cancellation(_: object) -> bool:
    """Store no progress and cancel nothing: for a handler that is called as a plain function."""
    return False


@dataclass(frozen=True, kw_only=True)
class Context:
    """The context of one attempt.

    What the handler writes by `session`, and the jobs and events it leaves there, commit together with the end of the
    job. `attempt` is the number of this attempt, from 1.
    """

    session: Session
    job_id: UUID
    attempt: int
    reporter: Progress = field(default_factory=lambda: Progress(_no_cancellation))

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Report progress; `GET /v1/jobs/{id}` shows it at once, even when the job's transaction is rolled back.

        Call it as often as you like: it is stored at most once a second. A job that was cancelled ends here.

        Raises:
            JobCancelledError: do not catch it; what the job wrote is rolled back.
        """
        self.reporter(done, total, note)

    def checkpoint(self) -> None:
        """End here when the job was cancelled, for example between two batches; raises as `progress` does."""
        self.reporter.check()


#: A handler as it is declared: its first parameters are the context and the job, the others its gateways.
Handler = Callable[Concatenate[Context, J, P], Result]
#: Handlers by kind, with their gateways bound; each is called with jobs of its own contract only.
Handlers = Mapping[str, Callable[[Context, Any], Result]]

#: The declared handler of each kind; filled when `workers.jobs` is imported.
registry: dict[str, Callable[..., Result]] = {}


def handles(contract: type[J]) -> Callable[[Handler[J, P]], Handler[J, P]]:
    """Declare the handler of a job: `@handles(SendEmail)`.

    Its parameters after the context and the job are gateways, each annotated with its type; the worker passes them::

        @handles(SendEmail)
        def send_email(context: Context, job: SendEmail, mailer: Mailer) -> Result: ...

    It may return a small dictionary or a `File` as the job's result, or another ending: `RetryIn`, `Snooze`, `Cancel`
    or `Fail`. It is a plain function, which a thread of a worker calls.

    Raises:
        TypeError: no function that a worker can call: asynchronous, a generator, a class, or with other parameters.
    """

    def declare(handler: Handler[J, P]) -> Handler[J, P]:
        if contract.kind in registry:
            raise TypeError(f"{contract.kind} has a handler already: {registry[contract.kind]!r}")
        _check(contract.kind, handler)
        _gateway_types(contract.kind, handler)
        registry[contract.kind] = handler
        return handler

    return declare


class Gateways:
    """The gateways and settings sections of a process, found by their types; of two the first is used."""

    def __init__(self, instances: Iterable[object]) -> None:
        self._instances = tuple(instances)

    def find(self, wanted: type) -> object | None:
        """Return the instance whose class is, or inherits from, the wanted type."""
        return next((one for one in self._instances if wanted in type(one).__mro__), None)


def bind(handlers: Mapping[str, Callable[..., Result]], gateways: Gateways) -> Handlers:
    """Return the handlers with their gateways bound, once for the life of the process.

    Raises:
        TypeError: a handler asks for a type of which there is no gateway.
    """
    return {kind: _bound(kind, handler, gateways) for kind, handler in handlers.items()}


def _bound(kind: str, handler: Callable[..., Result], gateways: Gateways) -> Callable[[Context, Any], Result]:
    found = {}
    for name, wanted in _gateway_types(kind, handler).items():
        found[name] = gateways.find(wanted)
        if found[name] is None:
            raise TypeError(
                f"handler {kind} asks for `{name}: {wanted.__name__}`, and this process has no such gateway; add one "
                "to the gateways in workers/__main__.py, or to those of the test"
            )
    return partial(handler, **found) if found else handler


def _check(kind: str, handler: Callable[..., Any]) -> None:
    """Refuse what returns before it has run, or cannot be called with a context and a job."""
    if isinstance(handler, type) or not callable(handler):
        raise TypeError(f"handler {kind}: declare a function, not {handler!r}")
    called = handler
    while isinstance(called, partial):
        called = called.func
    for one in (called, type(called).__call__):
        if inspect.iscoroutinefunction(one):
            raise TypeError(
                f"handler {kind} is `async def`, and workers call plain functions in threads: declare it with `def`, "
                "and call async code in it by `asyncio.run(...)`"
            )
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise TypeError(f"handler {kind} is a generator, so a call of it runs nothing: use no `yield` in it")
    try:
        inspect.signature(handler).bind_partial(None, None)
    except TypeError:
        raise TypeError(f"handler {kind}: its first two parameters are the context and the job") from None


def _gateway_types(kind: str, handler: Callable[..., Result]) -> dict[str, type]:
    """Return the types of a handler's gateways by the names of its parameters."""
    parameters = list(inspect.signature(handler, eval_str=True).parameters.values())[_OWN_PARAMETERS:]
    for parameter in parameters:
        if not isinstance(parameter.annotation, type) or parameter.annotation is parameter.empty:
            raise TypeError(f"handler {kind}: annotate the parameter `{parameter.name}` with the type of a gateway")
    return {parameter.name: parameter.annotation for parameter in parameters}
