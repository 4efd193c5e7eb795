"""`moneyflow events`: follow and search events; dead letters of events."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events import found
from moneyflow.platform.events.found import EventFilter, FoundEvent
from ops.cli import dead_letters
from ops.cli.events_view import print_event, print_found
from ops.cli.options import Limit, with_options
from ops.cli.output import AsJson, note, progress_bar
from ops.cli.servers import opened_as, settings_of
from ops.cli.times import WHEN, moment_or_ago

if TYPE_CHECKING:
    from moneyflow.settings import StatusSettings

app = typer.Typer(no_args_is_help=True, help="follow and search events; dead letters")
app.add_typer(dead_letters.app, name="dead-letter")

Since = Annotated[str | None, typer.Option("--since", help=f"happened at or after: {WHEN}")]
Until = Annotated[str | None, typer.Option("--until", help=f"happened before: {WHEN}")]


def filter_from(
    *,
    type: Annotated[list[str] | None, typer.Option(help="of this type, or system.*; repeatable, as others")] = None,
    subject: Annotated[list[str] | None, typer.Option(help="about this person, transaction, process, …")] = None,
    correlation_id: Annotated[list[str] | None, typer.Option(help="of the request with this id")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="of this topic, such as user.events")] = None,
    since: Since = None,
    until: Until = None,
) -> EventFilter:
    """Return the filter of the options.

    Raises:
        InvalidInputError: there is no such type or topic, or a time cannot be read.
    """
    import moneyflow.events  # noqa: PLC0415 - declares the contracts

    assert moneyflow.events, "the import declares the contracts"
    chosen = EventFilter(
        topics=tuple(topic or ()),
        types=tuple(type or ()),
        subjects=tuple(subject or ()),
        correlation_ids=tuple(correlation_id or ()),
        since=moment_or_ago(since, option="--since") if since is not None else None,
        until=moment_or_ago(until, option="--until") if until is not None else None,
    )
    chosen.check()
    return chosen


#: Gives a command the options of `filter_from` in place of its parameter `chosen`.
filtered = with_options("chosen", filter_from)


@app.callback()
def group() -> None:
    """Follow and search events; dead letters of events."""


@app.command()
@filtered
def tail(
    *,
    chosen: EventFilter,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="end after this many events")] = None,
    as_json: AsJson = False,
) -> None:
    """Show events as Kafka gets them, from now on or from --since on, until Ctrl-C; with --json one object a line."""
    if chosen.until is not None:
        raise InvalidInputError("--until: a tail has no end; `moneyflow events search` has one")
    try:
        asyncio.run(_tail(chosen, limit=limit, show=lambda event: print_event(event, as_json=as_json)))
    except KeyboardInterrupt:
        return


@app.command()
@filtered
def search(
    *,
    chosen: EventFilter,
    source: Annotated[
        Literal["audit", "kafka"], typer.Option("--from", help="the audit log, or what Kafka keeps")
    ] = "audit",
    limit: Limit = 20,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, max=86_400, metavar="SECONDS", help="of reading Kafka")
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Find events by type, subject, request and time, the newest first.

    Reads the audit log by its indexes, or all that Kafka keeps. Exits 1 when the time was over before all was read.
    """
    if source == "audit":
        events = _of_audit(chosen, limit=limit)
        print_found(events, source=source, limit=limit, as_json=as_json, read=None, records=None)
        return
    from moneyflow.platform.brokers import event_reader  # noqa: PLC0415 - PERF: aiokafka takes long to import

    with progress_bar() as bar:
        task = bar.add_task("reading Kafka", total=None)
        result = asyncio.run(
            event_reader.search(
                _kafka(), chosen, limit=limit + 1, seconds=timeout,
                on_progress=lambda read, records: bar.update(task, completed=read, total=records),
            )
        )  # fmt: skip
    print_found(result.events, source=source, limit=limit, as_json=as_json, read=result.read, records=result.records)
    if not result.is_complete:
        note(
            f"only the oldest {result.read} of {result.records} records were read; give --since, or a higher --timeout"
        )
        raise typer.Exit(1)


async def _tail(chosen: EventFilter, *, limit: int | None, show: Callable[[FoundEvent], object]) -> None:
    from moneyflow.platform.brokers import event_reader  # noqa: PLC0415 - PERF: as above

    count = 0
    async for event in event_reader.tail(_kafka(), chosen):
        show(event)
        count += 1
        if count == limit:
            return


def _of_audit(chosen: EventFilter, *, limit: int) -> list[FoundEvent]:
    """Search the audit log, as its own role."""
    from moneyflow.audit import search as audit  # noqa: PLC0415 - PERF: as above
    from moneyflow.settings import AuditReadSettings  # noqa: PLC0415 - PERF: as above

    for name, given in (("--subject", chosen.subjects), ("--correlation-id", chosen.correlation_ids)):
        if len(given) > 1:
            raise InvalidInputError(f"{name}: give one with --from audit, or search --from kafka")
    if chosen.topics:
        raise InvalidInputError("--topic: give --type with --from audit, or search --from kafka")
    wanted = audit.Filter(
        subject=next(iter(chosen.subjects), None),
        types=chosen.all_types or None,
        correlation_id=next(iter(chosen.correlation_ids), None),
        since=chosen.since,
        until=chosen.until,
    )
    settings = settings_of(AuditReadSettings)
    with opened_as("audit", "events search", settings) as database, database.transaction() as session:
        rows = audit.search(session, wanted, limit=limit + 1)
    return [
        found.read(
            topic=row["topic"], partition=row["partition"], offset=row["kafka_offset"], value=bytes(row["value"]),
            written_at=row["time"],
        )
        for row in rows
    ]  # fmt: skip


def _kafka() -> "StatusSettings":
    from moneyflow.settings import StatusSettings  # noqa: PLC0415 - PERF: as above

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # The error of the command says what is wrong.
    return settings_of(StatusSettings)
