"""`moneyflow audit`: verify the audit log's hash chains."""

import dataclasses

import psycopg
import typer
from rich.text import Text

from moneyflow.audit import verify as verification
from moneyflow.audit.verify import Chain
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PostgresDownError
from moneyflow.settings import AuditVerifySettings
from ops.cli.output import AsJson, console, plain, print_json, progress_bar, prose, table
from ops.cli.servers import settings_of

app = typer.Typer(no_args_is_help=True, help="the audit log and its hash chains")


@app.callback()
def group() -> None:
    """The audit log and its hash chains."""


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Verify every chain, and name the first row of each that was changed, removed or inserted.

    Exits 1 when any chain is broken.
    """
    settings = settings_of(AuditVerifySettings)
    database = Database(settings.conninfo("audit", application_name="moneyflow audit verify"), size=1)
    database.open()
    try:
        chains = _verify(database)
    except (psycopg.Error, PostgresDownError) as error:
        raise PostgresDownError(
            f"the audit log could not be read; see whether Postgres runs, and its log: {error}"
        ) from error
    finally:
        database.close()
    sound = all(chain.fault is None for chain in chains)
    if as_json:
        found = {"sound": sound, "chains": [dataclasses.asdict(chain) for chain in chains]}
        print_json(found)
    else:
        _print(chains)
    if not sound:
        raise typer.Exit(1)


def _verify(database: Database) -> list[Chain]:
    """Verify the chains in one snapshot, whatever is appended meanwhile."""
    chains = []
    with database.transaction() as session, progress_bar() as progress:
        session.execute("set transaction isolation level repeatable read, read only")
        task = progress.add_task("verifying", total=None)
        for chain in verification.verify(session):
            chains.append(chain)
            progress.update(task, description=f"{chain.topic} {chain.partition}", advance=chain.rows)
    return chains


def _print(chains: list[Chain]) -> None:
    rows = [(chain.topic, chain.partition, chain.rows, _finding(chain)) for chain in chains]
    console().print(table("topic", "partition", "rows", prose("finding"), rows=rows))


def _finding(chain: Chain) -> Text:
    return plain(chain.fault, style="red") if chain.fault else Text("sound", style="green")
