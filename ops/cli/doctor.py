"""`moneyflow doctor`: the settings of every process, checked together."""

import typer

from moneyflow.platform.errors import ConfigurationError
from moneyflow.settings import load_all
from ops.cli.output import AsJson, print_json

app = typer.Typer(rich_markup_mode=None)


@app.command("doctor")
def doctor(*, as_json: AsJson = False) -> None:
    """Check the settings of all processes at once, as the environment and the whole .env have them.

    With BUILD_ENV=prod it finds default, weak and equal secrets, links by plain HTTP and a mail login without TLS.
    """
    problems = _problems()
    if as_json:
        print_json({"problems": problems})
    else:
        typer.echo("\n".join(problems) if problems else "the settings of every process are valid")
    if problems:
        raise typer.Exit(1)


def _problems() -> list[str]:
    """Return every problem of the settings, each with its variable and what to do."""
    try:
        load_all(whole=True)
    except ConfigurationError as error:
        return list(error.problems)
    return []
