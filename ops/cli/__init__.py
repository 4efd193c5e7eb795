"""`moneyflow`: the operators' command line. Each group of commands is the module of its name."""

import ast
import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from moneyflow.platform.errors import MoneyFlowError
from moneyflow.platform.suggestions import did_you_mean

_NOT_INSTALLED = f"{{}} is not installed for {sys.executable}; run `make check`, which installs all into .venv"

try:
    import typer
    from typer.core import TyperGroup
    from typer.main import get_command
except ModuleNotFoundError as missing:
    sys.exit(_NOT_INSTALLED.format(missing.name))

_GROUPS = {
    name: f"{__name__}.{name}"
    for name in (
        "analytics", "audit", "batches", "consumers", "crm", "doctor", "events", "failed", "jobs", "mails", "queue",
        "schedules", "status", "user", "workers",
    )
}  # fmt: skip
if find_spec("ops.dev"):  # For developers; the production image does not have it.
    _GROUPS |= {"contracts": "ops.dev.contracts.commands", "new": "ops.dev.scaffold.commands"}


#: What an operator can do next, by what an error is about.
_HINTS = {
    "audit_log": "run `moneyflow audit verify`",
    "batch": "see `moneyflow batches list`",
    "checkpoint": "see `moneyflow audit checkpoint --list`",
    "contact": "see `moneyflow crm status`",
    "dead_letter": "see `moneyflow events dead-letter list`",
    "dead_letter_group": "see `moneyflow events dead-letter groups`",
    "failed_item": "see `moneyflow failed list`, with --refused for messages",
    "group": "see `moneyflow failed groups`, with --refused for messages",
    "job": "see `moneyflow jobs find` and `moneyflow failed list`",
    "operation": "see the command `operations` of its group, such as `moneyflow failed operations`",
    "position": "see `moneyflow consumers list`",
    "schedule": "see `moneyflow schedules list`",
    "topology": "run `python -m ops.migrate`",
}
#: The exit code of a command that Ctrl-C ended.
_INTERRUPTED = 130


class _Groups(TyperGroup):
    """The groups of commands. PERF: only the group that is called is imported, and none for the list of them."""

    def list_commands(self, _: Any) -> list[str]:
        return sorted(_GROUPS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        if cmd_name not in _GROUPS:
            return None
        group = get_command(importlib.import_module(_GROUPS[cmd_name]).app)
        group.name = cmd_name
        for command in _with_commands(group):
            command.rich_markup_mode = None  # Its boxes squeeze the help at 80 columns.
        return group

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Suggest the group that was probably meant; those that are there have not been imported."""
        if args[0] not in _GROUPS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], _GROUPS, otherwise="`moneyflow --help` lists the commands")
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _: Any, formatter: Any) -> None:
        """Write what each group does, by the first line of its module."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _does(_GROUPS[name])) for name in self.list_commands(None)])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error gets a note with the command that helps."""
        try:
            return super().invoke(ctx)
        except MoneyFlowError as error:
            if error.about in _HINTS:
                error.add_note(_HINTS[error.about])
            raise
        except KeyboardInterrupt:
            sys.stderr.write("\ninterrupted; what was committed before is kept\n")
            raise typer.Exit(_INTERRUPTED) from None


def _with_commands(command: Any) -> Iterator[Any]:
    """Yield a command and all commands below it."""
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _with_commands(below)


def _does(module: str) -> str:
    """Return what a group of commands does, by the first line of its module, which is not imported."""
    found = find_spec(module)
    assert found is not None, f"{module} is a module"
    assert found.origin is not None, f"{module} has a file"
    doc = ast.get_docstring(ast.parse(Path(found.origin).read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0].partition(": ")[2].rstrip(".")


app = typer.Typer(
    cls=_Groups, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        try:
            typer.echo(f"money-flow {version('money-flow')}")
        except PackageNotFoundError:
            typer.echo("money-flow, of a checkout that is not installed; run `make check` in it, which installs it")
        raise typer.Exit


@app.callback()
def moneyflow(
    *,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version and exit")
    ] = False,
) -> None:
    """Show and repair Money Flow.

    The servers are found by the environment or .env, else by the stack of `make up` in this checkout.
    """
    import logging  # noqa: PLC0415 - PERF: `moneyflow --help` needs no log

    import structlog  # noqa: PLC0415 - PERF: as above

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
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in sys.modules:  # A bug: its package is installed.
            raise
        sys.exit(_NOT_INSTALLED.format(error.name))
