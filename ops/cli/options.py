"""Options that commands share, and how their values are read: job kinds, ids, and the operator who acts."""

import os
import pwd
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from moneyflow.jobs import Job, registry
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.suggestions import did_you_mean

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
Yes = Annotated[bool, typer.Option("--yes", help="do not ask, and run no canary first, when there are more than 20")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show what would happen, and change nothing")]
All = Annotated[bool, typer.Option("--all", help="all of them; required when neither ids nor a filter are given")]
Resume = Annotated[str | None, typer.Option("--resume", metavar="ID", help="continue an operation that was stopped")]
Refused = Annotated[bool, typer.Option("--refused", help="messages that RabbitMQ dead-lettered before a job was known")]
KeepDeadLetters = Annotated[
    bool, typer.Option("--keep-letters", help="leave jobs_failed as it is; `moneyflow failed sweep` does that part")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="show this many at most")]


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
