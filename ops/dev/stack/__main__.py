"""`python -m ops.dev.stack COMMAND`: the whole stack, on Docker when an engine answers, else on this machine."""

import shutil
import subprocess
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from moneyflow.platform.telemetry.start import INTERRUPTED
from moneyflow.settings import load_all
from ops.dev.stack.choice import Stack, choose, start, stop
from ops.dev.stack.choice import reset as delete
from ops.dev.stack.contract import StackError
from ops.dev.stack.servers.postgres import ROLES

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
_console = Console(stderr=True, soft_wrap=True)


class With(StrEnum):
    """Kind of stack: on Docker, on this machine, or auto: Docker when an engine answers."""

    AUTO = "auto"
    DOCKER = "docker"
    NATIVE = "native"


_With = Annotated[With, typer.Option("--with", help="docker, native, or auto: docker when an engine answers")]


@app.command()
def up(how: _With = With.AUTO) -> None:
    """Start everything in the background and wait until it is ready."""
    stack = choose(_console, how)
    start(stack)
    print_addresses(stack, _console)


@app.command()
def down() -> None:
    """Stop everything; the data stays."""
    stop(choose(_console))
    _console.print("stopped; the data stays until `make reset`")


@app.command()
def reset() -> None:
    """Stop everything and delete the data."""
    delete(choose(_console))
    _console.print("stopped, and the data is deleted")


@app.command()
def env() -> None:
    """Print the running stack's settings as NAME=value lines."""
    sys.stdout.writelines(f"{name}={value}\n" for name, value in sorted(choose(_console).environment().items()))


@app.command()
def status() -> None:
    """Print the status of every server and process; exit with 1 when one is not ready."""
    statuses = choose(_console).statuses()
    table = Table(Column("server or process", no_wrap=True), Column("where", no_wrap=True), "status")
    for one in statuses:
        table.add_row(one.name, one.where, f"[red]{escape(one.problem)}[/]" if one.problem else "[green]ready[/]")
    Console().print(table)
    if not statuses or any(one.problem for one in statuses):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, role: Annotated[str, typer.Option(help=", ".join(ROLES))] = "app") -> None:
    """Open psql on the stack's database as one of its roles, or run a statement: psql --role relay -c 'select 1'."""
    settings = load_all(choose(_console).environment())
    if role not in ROLES:
        raise StackError(f"there is no role {role}; choose {', '.join(ROLES)}")
    conninfo = settings.conninfo(role, application_name="psql")
    if not shutil.which("psql"):
        raise StackError("psql is missing; as root run\n  apt-get install -y postgresql-client\nand repeat the command")
    raise typer.Exit(subprocess.run(["psql", conninfo, *context.args], check=False).returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def rabbitmqctl(context: typer.Context) -> None:
    """Run RabbitMQ's own command line on the stack's node, as in: rabbitmqctl list_queues -p money_flow."""
    raise typer.Exit(choose(_console).rabbitmqctl(context.args))


def print_addresses(stack: Stack, console: Console) -> None:
    """Print the addresses of the stack, and the commands to stop it."""
    found = stack.environment()
    management = f"http://127.0.0.1:{found['RABBITMQ_MANAGEMENT_PORT']}"
    console.print(
        f"""
  API              {found["APP_URL"]}  (health: /healthz)
  caught mails     {found["MAIL_CATCHER_URL"]}
  RabbitMQ         {management}  (login: RABBITMQ_… of `make env`)
  PostgreSQL       127.0.0.1:{found["POSTGRES_PORT"]}, database {found["POSTGRES_DB"]}
  Kafka            127.0.0.1:{found["KAFKA_PORT"]}
  logs             {stack.logs_hint()}

  status: make status · all settings: make env
  stop: make down (the data stays) · make reset (deletes the data)""",
        highlight=False,
        soft_wrap=True,
    )


def main() -> int:
    """Run a command; print a failure of the stack as one message, without a traceback."""
    try:
        app()
    except StackError as error:
        _console.print(f"[red]✗[/] {escape(str(error))}", highlight=False)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _console.print("interrupted; repeat the command to continue it, or stop what has started with `make down`")
        raise
    return 1


if __name__ == "__main__":
    sys.exit(main())
