"""`moneyflow`: the operators' command line. Each file here is one group of commands."""

import sys

import typer

from moneyflow.errors import MoneyFlowError
from ops.cli import audit

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(audit.app, name="audit")


@app.callback()
def moneyflow() -> None:
    """Look at Money Flow and put it right. The servers are found by the environment or .env."""


def main() -> None:
    """Run the command and end with 0 only when it did what was asked."""
    try:
        app()
    except MoneyFlowError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
