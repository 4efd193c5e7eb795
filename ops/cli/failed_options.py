"""The options that the commands of `moneyflow failed` share: which jobs are meant, by whom and how fast."""

import difflib
import inspect
import os
import pwd
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import typer

from moneyflow.jobs import registry
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.contract import PRIORITIES
from moneyflow.platform.jobs.failed import groups
from moneyflow.platform.jobs.failed.groups import DeadState, Filter

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")

_WHEN = "a moment such as 2026-01-31T03:00Z, or so long ago: 90s, 30m, 2h, 7d"

By = Annotated[str | None, typer.Option("--by", help="who asks; your user on this machine when it is not given")]
Reason = Annotated[str | None, typer.Option("--reason", help="why; it is kept with the operation and with each job")]
RateOption = Annotated[
    str | None, typer.Option("--rate", metavar="N/s", help="at most so many: 50/s, 600/m; 50 is a second's")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would happen, and change nothing")]
All = Annotated[bool, typer.Option("--all", help="all of them; needed where neither ids nor a filter are given")]
Resume = Annotated[str | None, typer.Option("--resume", metavar="ID", help="go on with an operation that was stopped")]
RefusedOption = Annotated[
    bool, typer.Option("--refused", help="messages that RabbitMQ itself set aside, before a job was known")
]
KeepLetters = Annotated[
    bool, typer.Option("--keep-letters", help="leave jobs_failed as it is; `moneyflow failed sweep` does that part")
]


def filter_from(
    *,
    kind: Annotated[list[str] | None, typer.Option(help="of this job; may be repeated, as may the others")] = None,
    error: Annotated[list[str] | None, typer.Option(help="with this error class")] = None,
    group: Annotated[list[str] | None, typer.Option(help="of this group, as `groups` names it")] = None,
    priority: Annotated[list[str] | None, typer.Option(help="of this priority, or of a range: 7-10")] = None,
    since: Annotated[str | None, typer.Option(help=f"failed at or after: {_WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"failed before: {_WHEN}")] = None,
    text: Annotated[str | None, typer.Option(help="with this text in message, payload or correlation id")] = None,
) -> Filter:
    """Return the filter that the options make.

    Raises:
        InvalidInputError: naming the option that cannot be read.
    """
    return Filter(
        kinds=tuple(kind or ()),
        error_classes=tuple(error or ()),
        groups=tuple(group or ()),
        priorities=_priorities(priority or ()),
        since=_moment("--since", since),
        until=_moment("--until", until),
        text=text or None,
    )


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `filter_from` in the place of its parameter `chosen`."""
    own, shared = inspect.signature(command), inspect.signature(filter_from)

    def wrapper(**given: Any) -> None:
        chosen = filter_from(**{name: given.pop(name) for name in shared.parameters})
        command(**given, chosen=chosen)

    kept = [parameter for name, parameter in own.parameters.items() if name != "chosen"]
    parameters = sorted([*kept, *shared.parameters.values()], key=lambda parameter: parameter.kind)
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] # inspect looks for it
    hints = get_type_hints(filter_from, include_extras=True) | get_type_hints(command, include_extras=True)
    wrapper.__annotations__ = {name: hint for name, hint in hints.items() if name != "chosen"}
    return wrapper


def check_kinds(session: Session, chosen: Filter, *, state: DeadState) -> None:
    """Refuse the name of a job that is none, for it would silently mean nothing."""
    known = {*registry, *groups.kinds(session, state=state)}
    for kind in chosen.kinds:
        if kind not in known:
            near = difflib.get_close_matches(kind, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise InvalidInputError(f"--kind {kind}: there is no such job; {hint}")


def job_ids(given: Sequence[str] | None) -> tuple[UUID, ...]:
    """Return the ids of jobs, each once; raises InvalidInputError."""
    found: dict[UUID, None] = {}
    for text in given or ():
        parsed = parse_id(text)
        if parsed is None:
            raise InvalidInputError(f"{text} is not the id of a job; `moneyflow failed list` shows them")
        found[parsed] = None
    return tuple(found)


def operation_id(option: str, text: str) -> UUID:
    """Return the id of an operation; raises InvalidInputError."""
    parsed = parse_id(text)
    if parsed is None:
        raise InvalidInputError(f"{option} {text}: not the id of an operation; see `moneyflow failed operations`")
    return parsed


def rate_per_second(text: str | None) -> float | None:
    """Return a rate in jobs per second; raises InvalidInputError."""
    if text is None:
        return None
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) / _UNIT_SECONDS[match[2] or "s"] if match else 0
    if rate <= 0:
        raise InvalidInputError(f"--rate {text}: give a number above 0 such as 50/s, 600/m or 1000/h")
    return rate


def operator(given: str | None) -> str:
    """Return who asks."""
    if given:
        return given
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _priorities(given: Sequence[str]) -> tuple[int, ...]:
    found: set[int] = set()
    for text in given:
        match = _RANGE.fullmatch(text.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
        if low not in PRIORITIES or high not in PRIORITIES or low > high:
            raise InvalidInputError(f"--priority {text}: give 0 to 10, where 10 is first, or a range such as 7-10")
        found |= set(range(low, high + 1))
    return tuple(sorted(found))


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return clock.now() - timedelta(seconds=float(ago[1]) * _UNIT_SECONDS[ago[2]])
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{option} {text}: give {_WHEN}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
