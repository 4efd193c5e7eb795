"""`moneyflow mails`: addresses that bounced, and to which no mail is sent for a week."""

from typing import Annotated

import typer

from moneyflow.accounts import suppressions
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.ids import parse_id
from ops.cli.options import Limit
from ops.cli.output import AsJson, console, print_json, table
from ops.cli.servers import reading_session, working_session

app = typer.Typer(no_args_is_help=True, help="addresses that bounced")

_Who = Annotated[str | None, typer.Argument(metavar="USER", help="the user's id or address")]


@app.callback()
def group() -> None:
    """Addresses that bounced: no mail is sent to them for a week."""


@app.command()
def suppressed(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the users whose address bounced, the newest first: why, and until when no mail is sent to them."""
    with reading_session("mails suppressed") as session:
        found = suppressions.listed(session, limit=limit)
    if as_json:
        print_json({"suppressed": found})
        return
    columns = ("user", "code", "until", "reason")
    rows = [(row["user_id"], row["code"], row["expires_at"], row["reason"]) for row in found]
    console().print(table(*columns, rows=rows))


@app.command()
def release(
    user: _Who = None,
    *,
    everyone: Annotated[bool, typer.Option("--all", help="all users, such as after the mail server was wrong")] = False,
    as_json: AsJson = False,
) -> None:
    """Send mails again to a user whose address bounced, or to all; mails that were not sent meanwhile stay unsent."""
    if (user is None) != everyone:
        raise InvalidInputError("give either USER, an id or an address, or --all")
    user_id = parse_id(user) if user else None
    with working_session("mails release") as session:
        released = suppressions.release(session, user_id=user_id, email=None if user_id else user)
    if not released and not everyone:
        raise NotFoundError(f"no mails to {user} are suppressed; `moneyflow mails suppressed` lists the users")
    if as_json:
        print_json({"released": released})
    else:
        typer.echo(f"{released} released: the next mail to each is sent")
