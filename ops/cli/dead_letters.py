"""`moneyflow events dead-letter`: what sinks could not write and why; reprocess, discard and restore it."""

from typing import Annotated, get_args

import typer

from moneyflow.platform.operations.ends import END_SECONDS
from moneyflow.platform.operations.engine import CANARY_SECONDS
from moneyflow.platform.sinks.dead_letters.filters import Filter, State
from moneyflow.platform.sinks.dead_letters.source import DISCARD, REPROCESS, RESTORE, dead_letter_id
from moneyflow.platform.sinks.dead_letters.use_cases import DeadEvents
from ops.cli.dead_letters_request import DeadLettersRequest, Ids, filtered
from ops.cli.dead_letters_view import print_dead_letter, print_groups, print_page
from ops.cli.operation_view import show_operations
from ops.cli.operations import carry_out
from ops.cli.options import Act, Canary, CanarySeconds, Limit, OperationName, Origin, Wait, acting
from ops.cli.output import AsJson
from ops.cli.servers import opened

app = typer.Typer(no_args_is_help=True, help="dead letters of events: groups, lists, reprocess, discard, restore")

_STATES: dict[str, State] = {state: state for state in get_args(State)}


@app.callback()
def group() -> None:
    """Dead letters of events: records that a sink could not write, kept until an operator acts."""


@app.command()
@filtered
def groups(*, chosen: Filter, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Group what is dead by sink, event type, error class and message without ids and numbers."""
    with opened("events dead-letter groups") as (_, database):
        found = DeadEvents(database).groups(chosen)
    print_groups(found, limit=limit, as_json=as_json)


@app.command("list")
@filtered
def list_(
    *,
    chosen: Filter,
    state: Annotated[str, typer.Option("--state", help=f"one of {', '.join(_STATES)}")] = "dead",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first; or those in another state, such as `waiting` for an earlier one."""
    if state not in _STATES:
        raise typer.BadParameter(f"one of {', '.join(_STATES)}", param_hint="--state")
    with opened("events dead-letter list") as (_, database):
        page = DeadEvents(database).page(chosen, state=_STATES[state], limit=limit)
    print_page(page, state=state, limit=limit, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="the id of a dead letter")], *, as_json: AsJson = False
) -> None:
    """Show one dead letter: origin, error, the event with secrets masked, and the operations on it."""
    dead_letter = dead_letter_id(name)
    with opened("events dead-letter show") as (_, database):
        detail = DeadEvents(database).show(dead_letter)
    print_dead_letter(detail, as_json=as_json)


@app.command()
@filtered
@acting
def reprocess(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    canary: Canary = None,
    canary_seconds: CanarySeconds = CANARY_SECONDS,
    wait: Wait = END_SECONDS,
) -> None:
    """Let the sink of each dead letter write it again, once, however many operators ask; no other sink sees it.

    Exits 1 when one is dead again, or still due when the wait is over; each one's result says why.
    """
    request = DeadLettersRequest(
        verb=REPROCESS, names=names or (), chosen=chosen, act=act, canary=canary, canary_seconds=canary_seconds,
        end_seconds=wait,
    )  # fmt: skip
    carry_out(request)


@app.command()
@filtered
@acting
def discard(names: Ids = None, *, chosen: Filter, act: Act) -> None:
    """Discard dead letters, with a reason, so that nothing waits for them; `restore` brings them back for 30 days.

    Exits 1 when one could not be discarded; each one's result says why.
    """
    carry_out(DeadLettersRequest(verb=DISCARD, names=names or (), chosen=chosen, act=act))


@app.command()
@filtered
@acting
def restore(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    origin: Origin = None,
) -> None:
    """Make discarded dead letters dead again.

    Exits 1 when one could not be restored; each one's result says why.
    """
    carry_out(DeadLettersRequest(verb=RESTORE, names=names or (), chosen=chosen, act=act, origin=origin))


@app.command()
def operations(
    name: OperationName = None,
    *,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List operations on dead letters, also those that were killed half-way; or show one, item by item."""
    with opened("events dead-letter operations") as (_, database):
        show_operations(DeadEvents(database).operations, name, limit=limit, as_json=as_json)
