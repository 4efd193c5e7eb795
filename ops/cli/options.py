"""Options that commands share, and how their values are read: job kinds, ids, and the operator who acts."""

import inspect
import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import typer

from moneyflow.jobs import Job, registry
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.suggestions import did_you_mean
from ops.cli.output import AsJson

Kind = Annotated[str, typer.Argument(metavar="KIND", help="the job kind, such as send_email")]
By = Annotated[str | None, typer.Option("--by", help="who acts; by default your user on this machine")]
Reason = Annotated[str | None, typer.Option("--reason", help="why; it is kept with the operation and with each job")]
PauseReason = Annotated[str, typer.Option("--reason", help="why; the next operator reads it")]
Rate = Annotated[
    str | None, typer.Option("--rate", metavar="N/s", help="items per second, minute or hour: 50/s, 600/m; 50 is 50/s")
]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids of jobs; else filters as below, or --all")]
CanarySeconds = Annotated[
    float,
    typer.Option(
        "--canary-timeout", min=0, max=604_800, metavar="SECONDS", help="a canary that takes longer has failed"
    ),
]
Canary = Annotated[
    int | None, typer.Option("--canary", min=1, metavar="N", help="run N first; stop unless all of them succeed")
]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask, and run no canary first, when there are more than 20")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show what would happen, and change nothing")]
All = Annotated[bool, typer.Option("--all", help="all of them; required when neither ids nor a filter are given")]
Resume = Annotated[str | None, typer.Option("--resume", metavar="ID", help="continue an operation that was stopped")]
Refused = Annotated[bool, typer.Option("--refused", help="messages that RabbitMQ dead-lettered before a job was known")]
KeepDeadLetters = Annotated[
    bool, typer.Option("--keep-letters", help="leave jobs_failed as it is; `moneyflow failed sweep` does that part")
]
OperationName = Annotated[str | None, typer.Argument(metavar="ID", help="show this one with the result of each item")]
Origin = Annotated[str | None, typer.Option("--operation", metavar="ID", help="what this operation discarded")]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        min=0,
        max=604_800,
        metavar="SECONDS",
        help="stop waiting when no item ended for so long; 0: do not wait",
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="show this many at most")]


Command = Callable[..., None]


def with_options(parameter: str, make: Callable[..., object]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options of `make`, in place of the parameter that takes its value."""

    def decorate(command: Command) -> Command:
        own, shared = inspect.signature(command), inspect.signature(make)

        def wrapper(**given: Any) -> None:
            made = make(**{name: given.pop(name) for name in shared.parameters})
            command(**given, **{parameter: made})

        kept = [one for name, one in own.parameters.items() if name != parameter]
        parameters = sorted([*kept, *shared.parameters.values()], key=lambda one: one.kind)
        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] # inspect looks for it
        hints = get_type_hints(make, include_extras=True) | get_type_hints(command, include_extras=True)
        wrapper.__annotations__ = {name: hint for name, hint in hints.items() if name not in {parameter, "return"}}
        return wrapper

    return decorate


@dataclass(frozen=True, kw_only=True)
class Act:
    """How an act on many items is carried out: the options that all of them share."""

    everything: bool
    dry_run: bool
    rate: str | None
    reason: str | None
    yes: bool
    by: str | None
    resume: str | None
    as_json: bool


def act_from(
    *,
    everything: All = False,
    dry_run: DryRun = False,
    rate: Rate = None,
    reason: Reason = None,
    yes: Yes = False,
    by: By = None,
    resume: Resume = None,
    as_json: AsJson = False,
) -> Act:
    """Return the act of the options."""
    return Act(
        everything=everything, dry_run=dry_run, rate=rate, reason=reason, yes=yes, by=by, resume=resume, as_json=as_json
    )  # fmt: skip


#: Gives a command the options of `act_from` in place of its parameter `act`.
acting = with_options("act", act_from)


def contract_of(kind: str) -> type[Job]:
    """Return the contract of a job kind.

    Raises:
        InvalidInputError: there is no such kind; suggests one.
    """
    if kind in registry:
        return registry[kind]
    hint = did_you_mean(kind, registry, otherwise="`moneyflow jobs list` lists the kinds")
    raise InvalidInputError(f"KIND: there is no job kind {kind!r}; {hint}")


def job_ids(given: Sequence[str]) -> tuple[UUID, ...]:
    """Return ids of jobs, each once; raises InvalidInputError."""
    found: dict[UUID, None] = {}
    for text in given:
        parsed = parse_id(text)
        if parsed is None:
            raise InvalidInputError(f"{text} is not the id of a job; `moneyflow failed list` lists them")
        found[parsed] = None
    return tuple(found)


def operation_id(option: str, text: str) -> UUID:
    """Return the id of an operation; raises InvalidInputError."""
    parsed = parse_id(text)
    if parsed is None:
        raise InvalidInputError(f"{option} {text}: not the id of an operation; see `moneyflow failed operations`")
    return parsed


def acting_operator(given: str | None = None) -> str:
    """Return the operator who acts: the given name, or the user of this machine."""
    if given:
        return given
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
