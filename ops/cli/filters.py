"""The filter options of the commands on many jobs: `--kind`, `--error`, `--group`, `--person`, `--since`, …."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from moneyflow.accounts import people
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.contract import PRIORITIES
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.patterns import Pattern
from ops.cli.options import with_options
from ops.cli.servers import opened
from ops.cli.times import WHEN, moment_or_ago

_RANGE = Pattern(r"(\d{1,2})(?:-(\d{1,2}))?", longest=5)


def filter_from(
    *,
    kind: Annotated[list[str] | None, typer.Option(help="of this job kind; repeatable, as are the others")] = None,
    error: Annotated[list[str] | None, typer.Option(help="with this error class")] = None,
    group: Annotated[list[str] | None, typer.Option(help="of this group, by the id that `groups` shows")] = None,
    priority: Annotated[list[str] | None, typer.Option(help="of this priority, or of a range: 7-10")] = None,
    batch: Annotated[list[UUID] | None, typer.Option(help="of this batch, by its id")] = None,
    person: Annotated[list[str] | None, typer.Option(help="about this person, by id or e-mail address")] = None,
    since: Annotated[str | None, typer.Option(help=f"failed (of `jobs`: enqueued) at or after: {WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"failed (of `jobs`: enqueued) before: {WHEN}")] = None,
    text: Annotated[str | None, typer.Option(help="with this text in message, payload or correlation id")] = None,
) -> Filter:
    """Return the filter of the options.

    Raises:
        InvalidInputError: an option's value cannot be read; names the option.
        NotFoundError: no account has the e-mail address.
    """
    return Filter(
        kinds=tuple(kind or ()),
        error_classes=tuple(error or ()),
        groups=tuple(group or ()),
        priorities=_priorities(priority or ()),
        batches=tuple(batch or ()),
        subjects=tuple(map(person_id, person or ())),
        since=moment_or_ago(since, option="--since") if since is not None else None,
        until=moment_or_ago(until, option="--until") if until is not None else None,
        text=text or None,
    )


def person_id(text: str) -> str:
    """Return a person's id as payloads have it: the id itself, or that of the account with the e-mail address.

    Raises:
        InvalidInputError: the text is neither an id nor an address.
        NotFoundError: no account has the address.
    """
    known = parse_id(text)
    if known is not None:
        return str(known)
    if "@" not in text:
        raise InvalidInputError(f"--person {text}: give a person's id, or their e-mail address")
    with opened("person") as (_, database), database.transaction() as session:
        found = people.id_of(session, email=text)
    if found is None:
        raise NotFoundError(f"--person {text}: no account has this address; give the id of a deleted one")
    return str(found)


#: Gives a command the options of `filter_from` in place of its parameter `chosen`.
filtered = with_options("chosen", filter_from)


def _priorities(given: Sequence[str]) -> tuple[int, ...]:
    found: set[int] = set()
    for text in given:
        match = _RANGE.fullmatch(text.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
        if low not in PRIORITIES or high not in PRIORITIES or low > high:
            raise InvalidInputError(f"--priority {text}: give 0 to 10, where 10 is first, or a range such as 7-10")
        found |= set(range(low, high + 1))
    return tuple(sorted(found))
