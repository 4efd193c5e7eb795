"""The acts of `moneyflow events dead-letter` on many dead letters: their filter options, and what they select."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.sources import Order, Selection
from moneyflow.platform.sinks.dead_letters.filters import Filter
from moneyflow.platform.sinks.dead_letters.source import DEAD_LETTERS, dead_letter_id
from moneyflow.platform.sinks.dead_letters.use_cases import DeadEvents
from ops.cli.operations import Request
from ops.cli.options import acting_operator, operation_id, with_options
from ops.cli.servers import opened
from ops.cli.times import WHEN, moment_or_ago, rate_per_second

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="ids of dead letters; else filters as below, or --all")
]


def filter_from(
    *,
    sink: Annotated[list[str] | None, typer.Option(help="of this sink; repeatable, as are the others")] = None,
    type: Annotated[list[str] | None, typer.Option(help="of this event type")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="of this topic")] = None,
    error: Annotated[list[str] | None, typer.Option(help="with this error class")] = None,
    group: Annotated[list[str] | None, typer.Option(help="of this group, by the id that `groups` shows")] = None,
    subject: Annotated[list[str] | None, typer.Option(help="about this subject, such as a user's id")] = None,
    correlation_id: Annotated[list[str] | None, typer.Option(help="of the request with this id")] = None,
    since: Annotated[str | None, typer.Option(help=f"failed at or after: {WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"failed before: {WHEN}")] = None,
    text: Annotated[str | None, typer.Option(help="with this text in the error's message")] = None,
) -> Filter:
    """Return the filter of the options; raises InvalidInputError, which names the option."""
    return Filter(
        sinks=tuple(sink or ()),
        types=tuple(type or ()),
        topics=tuple(topic or ()),
        error_classes=tuple(error or ()),
        groups=tuple(group or ()),
        subjects=tuple(subject or ()),
        correlation_ids=tuple(correlation_id or ()),
        since=moment_or_ago(since, option="--since") if since is not None else None,
        until=moment_or_ago(until, option="--until") if until is not None else None,
        text=text or None,
    )


#: Gives a command the options of `filter_from` in place of its parameter `chosen`.
filtered = with_options("chosen", filter_from)


@dataclass(frozen=True, kw_only=True)
class DeadLettersRequest(Request):
    """The options of a command that acts on many dead letters."""

    names: Sequence[str]
    chosen: Filter
    origin: str | None = None

    @property
    def command(self) -> str:
        """Return the command that carries out the verb."""
        return f"events dead-letter {self.verb}"

    @property
    def selections(self) -> dict[str, bool]:
        """Return ids, filter and `--operation`."""
        return {
            "ids": bool(self.names),
            "a filter": not self.chosen.is_empty,
            "--operation": self.origin is not None,
        }

    @property
    def ways(self) -> str:
        """Return the ways to select dead letters."""
        look = "`moneyflow events dead-letter groups` shows what there is"
        return f"ids, a filter such as --sink or --group, or --all; {look}"

    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""
        return Order(
            verb=self.verb,
            sources=(DEAD_LETTERS,),
            selection=Selection(
                criteria=self.chosen,
                ids=tuple(dict.fromkeys(str(dead_letter_id(name)) for name in self.names)),
                operation=operation_id("--operation", self.origin) if self.origin else None,
            ),
            asked_by=acting_operator(self.act.by),
            reason=self.act.reason,
            rate=rate_per_second(self.act.rate, option="--rate") if self.act.rate is not None else None,
            canary=self.canary,
        )

    @contextmanager
    def performer(self, *, acts: bool) -> Iterator[Operations]:  # noqa: ARG002 - consumers look for due ones themselves
        """Open the operations on dead letters."""
        with opened(self.command) as (_, database):
            yield DeadEvents(database).operations
