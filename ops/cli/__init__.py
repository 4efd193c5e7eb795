"""`moneyflow`: the operators' command line. Each group of commands is the module of its name."""

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

_GROUPS = {name: f"{__name__}.{name}" for name in ("audit", "batches", "failed", "jobs", "mails", "queue", "schedules")}
if find_spec("ops.dev"):  # For developers; the production image does not have it.
    _GROUPS["new"] = "ops.dev.scaffold.commands"


#: What an operator can do next, by what an error is about.
_HINTS = {
    "batch": "see `moneyflow batches list`",
    "failed_item": "see `moneyflow failed list`, with --refused for messages",
    "job": "see `moneyflow jobs find` and `moneyflow failed list`",
    "operation": "see `moneyflow failed operations`",
    "schedule": "see `moneyflow schedules list`",
    "topology": "run `python -m ops.migrate`",
}


class _Groups(TyperGroup):
    """The groups of commands. PERF: only the group that is called is imported."""

    def list_commands(self, _: Any) -> list[str]:
        return sorted(_GROUPS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        if cmd_name not in _GROUPS:
            return None
        group = get_command(importlib.import_module(_GROUPS[cmd_name]).app)
        group.name = cmd_name
        return group

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error gets a note with the command that helps."""
        try:
            return super().invoke(ctx)
        except MoneyFlowError as error:
            if error.about in _HINTS:
                error.add_note(_HINTS[error.about])
            raise


app = typer.Typer(
    cls=_Groups, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def moneyflow() -> None:
    """Show and repair Money Flow. The servers are found by the environment or .env."""
    # Standard output is for the answer, which programs read too.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def main() -> None:
    """Run the command; the exit code is 0 only when it did what was asked."""
    try:
        app()
    except MoneyFlowError as error:
        sys.stderr.write("; ".join([str(error), *getattr(error, "__notes__", ())]) + "\n")
        sys.exit(2)
