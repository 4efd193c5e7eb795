"""Handlers: each is given the gateways that it names by type, and nothing else."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import pytest

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.contract import registry as contracts
from workers.handlers import Context, Gateways, Result, bind, handles, registry


class Printer(Protocol):
    """A gateway."""

    def print_out(self) -> str: ...


class LaserPrinter(Printer):
    """Its adapter."""

    def print_out(self) -> str:
        return "laser"


class InkPrinter(Printer):
    """Another adapter."""

    def print_out(self) -> str:
        return "ink"


class Paper:
    """A gateway without a protocol."""


@pytest.fixture
def contract() -> Iterator[type[Job]]:
    """Declare a job for one test."""

    class PrintOut(Job, kind="print_out"):
        """Print."""

    yield PrintOut
    del contracts["print_out"]
    registry.pop("print_out", None)


def _run(*gateways: object) -> Result:
    context = Context(session=None, job_id=UUID(int=1), attempt=1)  # type: ignore[arg-type]
    return bind({"print_out": registry["print_out"]}, Gateways(gateways))["print_out"](context, None)


def test_a_handler_gets_the_gateways_that_it_names_by_type(contract: type[Job]) -> None:
    @handles(contract)
    def print_out(_context: Context, _job: Job, printer: Printer, *, paper: Paper) -> Result:
        return {"printer": printer.print_out(), "paper": type(paper).__name__}

    assert _run(Paper(), LaserPrinter()) == {"printer": "laser", "paper": "Paper"}


def test_of_two_gateways_of_one_type_the_first_is_used(contract: type[Job]) -> None:
    @handles(contract)
    def print_out(_context: Context, _job: Job, printer: Printer) -> Result:
        return {"printer": printer.print_out()}

    assert _run(InkPrinter(), LaserPrinter()) == {"printer": "ink"}


def test_a_handler_that_names_no_gateway_gets_none(contract: type[Job]) -> None:
    @handles(contract)
    def print_out(context: Context, _job: Job) -> Result:
        return {"attempt": context.attempt}

    assert _run(LaserPrinter()) == {"attempt": 1}


def test_a_gateway_that_is_missing_fails_the_start_and_names_handler_and_type(contract: type[Job]) -> None:
    @handles(contract)
    def print_out(_context: Context, _job: Job, printer: Printer) -> Result:
        return None

    with pytest.raises(TypeError, match="handler print_out asks for `printer: Printer`, and this process has no such"):
        _run(Paper())


@pytest.mark.parametrize("annotation", [None, "Printer | None"])
def test_a_parameter_that_names_no_type_is_refused_where_the_handler_is_declared(
    annotation: str | None, contract: type[Job]
) -> None:
    def print_out(_context: Any, _job: Any, printer: Any) -> Result:
        return None

    print_out.__annotations__.pop("printer")
    if annotation:
        print_out.__annotations__["printer"] = annotation

    with pytest.raises(TypeError, match="handler print_out: annotate the parameter `printer` with the type"):
        handles(contract)(print_out)

    assert "print_out" not in registry


async def _async(_context: Any, _job: Any) -> None:
    """Run in an event loop, which a worker has not."""


def _generator(_context: Any, _job: Any) -> Iterator[None]:
    yield


async def _async_generator(_context: Any, _job: Any) -> AsyncIterator[None]:
    yield


class _AsyncCallable:
    """An object whose call returns a coroutine."""

    async def __call__(self, _context: Any, _job: Any) -> None:
        """Run in an event loop."""

    def generate(self, _context: Any, _job: Any) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("handler", "instead"),
    [
        (_async, "`async def`.+declare it with `def`.+asyncio.run"),
        (partial(_async), "`async def`"),
        (partial(partial(_async, None), None), "`async def`"),
        (_AsyncCallable(), "`async def`"),
        (partial(_AsyncCallable()), "`async def`"),
        (_generator, "use no `yield`"),
        (_AsyncCallable().generate, "use no `yield`"),
        (partial(_generator), "use no `yield`"),
        (_async_generator, "use no `yield`"),
        (_AsyncCallable, "declare a function"),
        ("print_out", "declare a function"),
        (lambda _context: None, "its first two parameters are the context and the job"),
        (lambda *, context, job: None, "its first two parameters"),  # noqa: ARG005
    ],
)
def test_what_returns_before_it_has_run_or_takes_no_job_is_refused_where_it_is_declared(
    handler: Callable[..., Any], instead: str, contract: type[Job]
) -> None:
    with pytest.raises(TypeError, match=f"(?s)handler print_out.*{instead}"):
        handles(contract)(handler)

    assert "print_out" not in registry
