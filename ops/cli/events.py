"""`moneyflow events`: dead letters of events."""

import typer

from ops.cli import dead_letters

app = typer.Typer(no_args_is_help=True, help="events: dead letters")
app.add_typer(dead_letters.app, name="dead-letter")


@app.callback()
def group() -> None:
    """Events."""
