"""`moneyflow crm`: who is in step with the CRM; compare the CRM with us, and have people sent again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, get_args

import typer

from moneyflow.crm import status as contact_status
from moneyflow.crm.differences import Comparison, Difference
from moneyflow.crm.resync import RESYNC, CrmContacts, Filter, person_id
from moneyflow.crm.status import State
from moneyflow.gateways.crm import Crm
from moneyflow.gateways.crm.adapters import crm_of
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.operations.ends import END_SECONDS
from moneyflow.platform.operations.engine import CANARY_SECONDS, Operations
from moneyflow.settings import CrmReadSettings
from ops.cli.crm_request import ResyncRequest
from ops.cli.crm_view import print_contacts, print_differences, print_totals
from ops.cli.operation_view import show_operations
from ops.cli.operations import carry_out
from ops.cli.options import Act, Canary, CanarySeconds, Limit, OperationName, Wait, acting
from ops.cli.output import AsJson, note, passes
from ops.cli.servers import opened, opening, settings_of

app = typer.Typer(no_args_is_help=True, help="the sync with the CRM")

_STATES: dict[str, State] = {state: state for state in get_args(State)}
_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids of people")]
_State = Annotated[str | None, typer.Option("--state", help=f"one of {', '.join(_STATES)}")]


@app.callback()
def group() -> None:
    """The sync with the CRM: no command prints a name or an address."""


@app.command()
def status(names: _Ids = None, *, state: _State = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Show how many people are in which state, whether the CRM answers, and those that need a look; or people by id.

    Exits 1 when none of the ids is known.
    """
    ids = [person_id(name) for name in names or ()]
    with opened("crm status") as (_, database), database.transaction() as session:
        totals, gate = contact_status.totals(session), contact_status.the_gate(session)
        shown = contact_status.contacts(session, ids=ids, state=_state(state), limit=limit)
    if ids and not shown:
        raise NotFoundError("none of these people has ever been noted; `moneyflow crm status` shows how many were")
    if not ids and state is None:
        print_totals(totals, gate, shown, as_json=as_json)
    else:
        print_contacts(shown, as_json=as_json)


@app.command()
def diff(*, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Compare the CRM with us page by page: who is missing, changed or there without being here, by id and field.

    Exits 1 when anyone differs; `moneyflow crm resync --differing` mends that. People who wait to be sent are none.
    """
    found = _differences()
    print_differences(found, limit=limit, as_json=as_json)
    if found:
        raise typer.Exit(1)


@app.command()
@acting
def resync(
    names: _Ids = None,
    *,
    act: Act,
    state: _State = None,
    error: Annotated[list[str] | None, typer.Option("--error", help="set aside with this error; repeatable")] = None,
    differing: Annotated[bool, typer.Option("--differing", help="those whom `moneyflow crm diff` finds now")] = False,
    canary: Canary = None,
    canary_seconds: CanarySeconds = CANARY_SECONDS,
    wait: Wait = END_SECONDS,
) -> None:
    """Have people sent again as they are now, whatever the CRM has: those of ids, of a filter, that differ, or all.

    Exits 1 when one is refused, or still waits at the end; each one's result says why.
    """
    chosen = Filter(states=tuple(filter(None, [_state(state)])), errors=tuple(error or ()))
    found = [str(one.user_id) for one in _differences()] if differing and act.resume is None else None
    if found is not None and not found:
        note("no one differs; nothing was done")
        return
    request = ResyncRequest(
        verb=RESYNC, names=names or (), chosen=chosen, differing=found, act=act, canary=canary,
        canary_seconds=canary_seconds, end_seconds=wait,
    )  # fmt: skip
    carry_out(request)


@app.command()
def operations(
    name: OperationName = None,
    *,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List operations, also those that were killed half-way; or show one, person by person."""
    with opened("crm operations") as (_, database):
        show_operations(Operations(database, [CrmContacts()]), name, limit=limit, as_json=as_json)


def _state(given: str | None) -> State | None:
    if given is not None and given not in _STATES:
        raise typer.BadParameter(f"one of {', '.join(_STATES)}", param_hint="--state")
    return _STATES[given] if given else None


def _differences() -> list[Difference]:
    with _crm() as (crm, database), passes("comparing") as on_page:
        if not crm.is_readable:
            note(f"{crm.url} cannot be read: what it has acknowledged is compared with the people of now")
        return list(Comparison(database=database, crm=crm, pause=time.sleep).differences(on_page))


@contextmanager
def _crm() -> Iterator[tuple[Crm, Database]]:
    """Open the CRM, and Postgres as the role that sees what is sent there."""
    settings = settings_of(CrmReadSettings)
    crm = crm_of(settings)
    if crm is None:
        raise InvalidInputError("no CRM is set; set CRM_URL, and what CRM_ADAPTER needs, see .env.example")
    conninfo = settings.conninfo("crm", application_name="moneyflow crm diff")
    try:
        with opening(Database(conninfo, size=2, timeout_seconds=5)) as database:
            yield crm, database
    finally:
        crm.close()
