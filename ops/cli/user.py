"""`moneyflow user`: make an administrator."""

import sys
from typing import Annotated

import typer

from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from ops.cli.output import AsJson, print_json
from ops.cli.servers import opened_as_app

app = typer.Typer(no_args_is_help=True, help="administrators")

_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="the address of the account")]
_Name = Annotated[str | None, typer.Option("--name", help="the person's name, for a new account")]
_Invite = Annotated[bool, typer.Option("--invite", help="mail an invitation instead of asking for a password")]


@app.callback()
def group() -> None:
    """People who administer Money Flow.

    Runs with the API's credentials in Postgres (POSTGRES_USER), as operators may see no person: in this checkout, or in
    the API's container by `docker compose exec api python -m ops.cli user create-admin`.
    """


@app.command("create-admin")
def create_admin(email: _Email, *, name: _Name = None, invite: _Invite = False, as_json: AsJson = False) -> None:
    """Make the owner of an address an administrator.

    An active account is promoted, from its next sign-in on. Without one, the account is made: with a password that is
    asked for on the terminal, or by an invitation to choose one.
    """
    from moneyflow.accounts import administrators  # noqa: PLC0415 - PERF: `--help` needs none of it

    with opened_as_app("user create-admin") as database:
        with database.transaction() as session:
            promoted = administrators.promote(session, email=email)
        if promoted is not None:
            outcome = "promoted" if promoted.is_new else "administrator already"
            shown = {"user_id": promoted.user_id, "outcome": outcome}
        elif name is None:
            raise InvalidInputError(f"{email} has no active account; give --name to make one")
        elif invite:
            with database.transaction() as session:
                user_id, job_id = administrators.invite(session, email=email, name=name)
            shown = {"user_id": user_id, "outcome": "invited", "job_id": job_id}
        else:
            shown = {"user_id": _created(database, email=email, name=name), "outcome": "created"}
    if as_json:
        print_json(shown)
    else:
        typer.echo(f"{shown['user_id']} {shown['outcome']}")


def _created(database: Database, *, email: str, name: str) -> object:
    """Ask for a password, and make an account with it."""
    from moneyflow.accounts import administrators  # noqa: PLC0415 - PERF: as above
    from moneyflow.accounts.names import check_person  # noqa: PLC0415 - PERF: as above
    from moneyflow.accounts.passwords import Passwords  # noqa: PLC0415 - PERF: as above

    check_person(email=email, name=name)  # Before the password is asked for.
    if not sys.stdin.isatty():
        raise InvalidInputError("no terminal to ask for a password on; give --invite to mail an invitation instead")
    password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    password_hash = Passwords(at_once=1, waiting=0).hash(password)
    with database.transaction() as session:
        return administrators.create(session, email=email, name=name, password_hash=password_hash)
