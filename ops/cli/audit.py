"""`moneyflow audit`: verify, checkpoint, search and export the audit log."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from moneyflow.audit import checkpoints as signed
from moneyflow.audit import export as exports
from moneyflow.audit import search as searches
from moneyflow.audit import verify as verification
from moneyflow.audit.checkpoints import Checkpoint
from moneyflow.audit.search import Filter
from moneyflow.audit.verify import Chain
from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.settings import AuditCheckpointCommandSettings, AuditReadSettings, AuditVerifySettings
from ops.cli.audit_view import print_chains, print_checkpoints, print_events
from ops.cli.options import Limit, with_options
from ops.cli.output import AsJson, note, progress_bar
from ops.cli.servers import opened_as, settings_of
from ops.cli.times import WHEN, moment_or_ago

app = typer.Typer(no_args_is_help=True, help="verify, checkpoint, search and export the audit log")

_From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="CHECKPOINT", help="only what follows it: its name, or the file of a copy kept elsewhere"
    ),
]
_List = Annotated[bool, typer.Option("--list", help="list the checkpoints, the newest first, and take none")]
_Before = Annotated[str | None, typer.Option("--before", metavar="ID", help="the next page: older than this event")]
_Format = Annotated[exports.Format, typer.Option("--format", help="JSON lines or CSV")]
_To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="a new file; standard output without it")]


def filter_from(
    *,
    actor: Annotated[str | None, typer.Option(help="by this person, by id")] = None,
    subject: Annotated[str | None, typer.Option(help="about this person, transaction, …, by id")] = None,
    type: Annotated[list[str] | None, typer.Option(help="of this type, such as user.created; repeatable")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="of this request, by its X-Request-Id")] = None,
    since: Annotated[str | None, typer.Option(help=f"happened at or after: {WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"happened before: {WHEN}")] = None,
) -> Filter:
    """Return the filter of the options; raises InvalidInputError."""
    chosen = Filter(
        actor=actor,
        subject=subject,
        types=tuple(type) if type else None,
        correlation_id=correlation_id,
        since=moment_or_ago(since, option="--since") if since is not None else None,
        until=moment_or_ago(until, option="--until") if until is not None else None,
    )
    searches.check_times(chosen)
    return chosen


#: Gives a command the options of `filter_from` in place of its parameter `chosen`.
filtered = with_options("chosen", filter_from)


@app.callback()
def group() -> None:
    """Verify, checkpoint, search and export the audit log."""


@app.command()
def verify(*, checkpoint: _From = None, as_json: AsJson = False) -> None:
    """Verify every chain, and name the first row of each that was changed, removed, inserted or cut off.

    The chains must have the heads of all signed checkpoints. Exits 1 when any chain is broken.
    """
    settings = settings_of(AuditVerifySettings)
    keys = settings.checkpoint_keys
    with _storage(settings) as storage:
        # Before the rows are read: what a checkpoint has was committed before it was taken.
        since = _checkpoint(storage, checkpoint, keys) if checkpoint else None
        of_storage = signed.read_since(storage, keys, first=since.name if since else "")
        known = {one.name: one for one in of_storage} | ({since.name: since} if since else {})
    with opened_as("audit", "audit verify", settings) as database:
        chains = _verify(database, list(known.values()), since)
    if not known:
        note("there is no checkpoint yet: an end that was cut off with its head would not be seen")
    print_chains(chains, newest=max(known, default=None), as_json=as_json)
    if any(chain.fault for chain in chains):
        raise typer.Exit(1)


@app.command()
def checkpoint(*, listed: _List = False, as_json: AsJson = False) -> None:
    """Sign the heads of all chains and write them to the storage, as the job checkpoint_audit does every day."""
    settings = settings_of(AuditCheckpointCommandSettings)
    with _storage(settings) as storage:
        if listed:
            found = [signed.read(storage, name, settings.checkpoint_keys) for name in reversed(signed.names(storage))]
        else:
            with opened_as("operator", "audit checkpoint", settings) as database, database.transaction() as session:
                found = [signed.take(session, storage, settings.checkpoint_keys)]
    print_checkpoints(found, as_json=as_json)


@app.command()
@filtered
def search(*, chosen: Filter, limit: Limit = 20, before: _Before = None, as_json: AsJson = False) -> None:
    """Find events by actor, subject, type, time and request, the newest first; --json has each event whole."""
    with _reading("audit search") as session:
        found = searches.search(session, chosen, limit=limit + 1, before=before)
    print_events(found, limit=limit, as_json=as_json)


@app.command()
@filtered
def export(*, chosen: Filter, format: _Format = "jsonl", to: _To = None) -> None:
    """Export events with their hashes as JSON lines or CSV, chain by chain; others can verify what they get."""
    rows, digest = 0, hashlib.sha256()
    with _reading("audit export") as session, _output(to) as write:
        for count, piece in exports.export(session, chosen, format):
            rows += count
            digest.update(piece)
            write(piece)
    note(f"{rows} rows; their SHA-256 is {digest.hexdigest()}")


def _verify(database: Database, checkpoints: Sequence[Checkpoint], since: Checkpoint | None) -> list[Chain]:
    """Verify the chains in one snapshot, whatever is appended meanwhile."""
    with database.transaction() as session, progress_bar() as progress:
        session.execute("set transaction isolation level repeatable read, read only")
        task = progress.add_task("verifying", total=verification.count_rows(session, since=since))

        def report(rows: int) -> None:
            progress.update(task, advance=rows)

        return list(verification.verify(session, checkpoints=checkpoints, since=since, report=report))


def _checkpoint(storage: Storage, given: str, keys: Sequence[bytes]) -> Checkpoint:
    """Return the checkpoint of a name, or of a file."""
    path = Path(given)
    return signed.parse(path.read_bytes(), given, keys) if path.is_file() else signed.read(storage, given, keys)


@contextmanager
def _storage(settings: StorageSettings) -> Iterator[Storage]:
    storage = storage_of(settings.only(StorageSettings))
    try:
        yield storage
    finally:
        storage.close()


@contextmanager
def _reading(command: str) -> Iterator[Session]:
    """Yield a session of the audit role that reads one snapshot."""
    with opened_as("audit", command, settings_of(AuditReadSettings)) as database, database.transaction() as session:
        session.execute("set transaction isolation level repeatable read, read only")
        yield session


@contextmanager
def _output(to: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Yield what writes to standard output, or to a new file that only its owner reads; a broken off one is deleted."""
    if to is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        file: BinaryIO = os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise InvalidInputError(f"--to {to}: {error.strerror}; give a file that can be made") from error
    try:
        with file:
            yield file.write
    except BaseException:
        to.unlink(missing_ok=True)
        raise
