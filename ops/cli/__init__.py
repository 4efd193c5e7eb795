"""`moneyflow`: the operators' command line. Each file here that is named below is one group of commands."""

import importlib
import logging
import sys
from importlib.util import find_spec
from typing import Any

import structlog
import typer
from typer.core import TyperGroup
from typer.main import get_command

from moneyflow.platform.errors import MoneyFlowError

_GROUPS = {name: f"{__name__}.{name}" for name in ("audit", "batches", "failed", "jobs", "queue", "schedules")}
if find_spec("ops.dev"):  # For developers; the production image does not have it.
    _GROUPS["new"] = "ops.dev.scaffold.commands"


class _Groups(TyperGroup):
    """Imports the group that is called and no other, for an operator waits for every import."""

    def list_commands(self, _: Any) -> list[str]:
        return sorted(_GROUPS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        if cmd_name not in _GROUPS:
            return None
        group = get_command(importlib.import_module(_GROUPS[cmd_name]).app)
        group.name = cmd_name
        return group


app = typer.Typer(
    cls=_Groups, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def moneyflow() -> None:
    """Look at Money Flow and put it right. The servers are found by the environment or .env."""
    # Standard output is for the answer, which programs read too.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def main() -> None:
    """Run the command and end with 0 only when it did what was asked."""
    try:
        app()
    except MoneyFlowError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
