"""`moneyflow status`: one screen with every server, process and queue, and what needs an operator."""

import logging
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live

from ops.cli.output import AsJson, console, print_json
from ops.cli.servers import opened_for_status
from ops.cli.status_view import screen

if TYPE_CHECKING:
    from moneyflow.platform.status.snapshot import Snapshot

app = typer.Typer()

#: Seconds between two looks with --watch.
_EVERY_SECONDS = 2.0


@app.command(short_help="one screen: servers, processes, queues; what to do")
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="look again every two seconds, until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every server, process and queue on one screen, and for each problem its command and runbook section.

    Works while servers are down, and says so. Exits 0 when nothing needs an operator, 1 when something does, 2 when the
    settings are invalid.
    """
    from moneyflow.platform.status.service import StatusService  # noqa: PLC0415 - imports every server's client

    # The clients' own lines about a server that is down: the screen says it.
    for client in ("aiokafka", "pika", "psycopg.pool"):
        logging.getLogger(client).setLevel(logging.CRITICAL + 1)
    with opened_for_status("status") as (settings, database):
        service = StatusService(settings, database)
        snapshot = service.snapshot()
        if as_json:
            print_json(_document(snapshot))
        elif not watch:
            console().print(screen(snapshot))
        if watch:
            snapshot = _watch(service.snapshot, snapshot, as_json=as_json)
    raise typer.Exit(1 if snapshot.conditions else 0)


def _watch(look: Any, snapshot: "Snapshot", *, as_json: bool) -> "Snapshot":
    """Show a new snapshot every two seconds until Ctrl-C, and return the last one."""
    try:
        if as_json:
            while True:
                time.sleep(_EVERY_SECONDS)
                snapshot = look()
                print_json(_document(snapshot))
        with Live(screen(snapshot), console=console(), auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY_SECONDS)
                snapshot = look()
                live.update(screen(snapshot), refresh=True)
    except KeyboardInterrupt:
        return snapshot


def _document(snapshot: "Snapshot") -> dict[str, Any]:
    """Return the snapshot as JSON has it."""
    return {
        "is_healthy": not snapshot.conditions,
        "conditions": [asdict(condition) for condition in snapshot.conditions],
        "servers": [asdict(server) for server in snapshot.servers],
        "jobs": asdict(snapshot.jobs) if snapshot.jobs else None,
        "queues": asdict(snapshot.queues) if snapshot.queues else None,
        "refused": snapshot.refused,
        "consumers": None if snapshot.consumers is None else [asdict(consumer) for consumer in snapshot.consumers],
    }
