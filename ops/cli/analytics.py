"""`moneyflow analytics`: rebuild the sums, and show people by day.

The rebuild runs as the sink's role, which reads the audit log and of the transactions what events carry.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer

from moneyflow.analytics.rebuild import Rebuilding, Rebuilds, SourceName
from moneyflow.analytics.views import funnel as read_funnel
from moneyflow.analytics.views import latest_days
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PostgresDownError
from moneyflow.settings import AnalyticsSettings
from ops.cli.options import By, Limit, acting_operator
from ops.cli.output import AsJson, console, note, print_json, progress_bar, table
from ops.cli.servers import reading_session, settings_of

app = typer.Typer(no_args_is_help=True, help="rebuild the sums, and show people by day")


Source = Annotated[
    SourceName | None,
    typer.Option("--from", help="log: all, from the audit log; tables: the money, from the transactions as they are"),
]
Reason = Annotated[str | None, typer.Option("--reason", help="why; it is kept with the rebuild")]
Cancel = Annotated[bool, typer.Option("--cancel", help="cancel the rebuild that is not finished")]


@app.command()
def rebuild(
    *, source: Source = None, reason: Reason = None, by: By = None, cancel: Cancel = False, as_json: AsJson = False
) -> None:
    """Rebuild all sums next to the current ones, then swap; reads and events continue meanwhile.

    It continues a rebuild that was killed. Exits 1 when another command has cancelled it.
    """
    with _opened() as database:
        rebuilds = Rebuilds(database)
        if cancel:
            done = rebuilds.cancel()
        else:
            begun = rebuilds.begin(source=source, asked_by=acting_operator(by), reason=reason)
            note(f"rebuild {begun.id} from the {begun.source}; to continue it: moneyflow analytics rebuild")
            done = _run(rebuilds, begun)
    if as_json:
        print_json(done.document())
    else:
        _print(done)
    if done.state == "cancelled" and not cancel:
        raise typer.Exit(1)


@app.command()
def funnel(*, limit: Limit = 30, as_json: AsJson = False) -> None:
    """Show of each day of sign-up how many were activated and have a transaction, the latest days first."""
    with reading_session("analytics funnel") as session:
        rows = read_funnel(session, limit=limit)
    if as_json:
        print_json({"days": rows})
        return
    cells = [(row["day"], row["signed_up"], row["activated"], row["with_transaction"]) for row in rows]
    console().print(table("day", "signed up", "activated", "with a transaction", rows=cells))


@app.command()
def days(*, limit: Limit = 30, as_json: AsJson = False) -> None:
    """Show how many people were active on each day, how many signed in, and whose sign-in failed, and why."""
    with reading_session("analytics days") as session:
        found = latest_days(session, limit=limit)
    if as_json:
        print_json({"days": [{"day": day, **counts} for day, counts in found.items()]})
        return
    names = sorted({name for counts in found.values() for name in counts})
    cells: Sequence[Sequence[object]] = [
        (day, *(counts.get(name, 0) for name in names)) for day, counts in found.items()
    ]
    console().print(table("day", *(name.replace("sign_in_failed:", "failed: ") for name in names), rows=cells))


def _run(rebuilds: Rebuilds, begun: Rebuilding) -> Rebuilding:
    done = begun
    with progress_bar() as bar:
        task = bar.add_task("rebuilding", total=None)
        for done in rebuilds.run(begun):
            bar.update(task, completed=done.rows_read)
    return done


@contextmanager
def _opened() -> Iterator[Database]:
    """Yield the database as the sink's role."""
    settings = settings_of(AnalyticsSettings)
    database = Database(settings.conninfo("analytics", application_name="moneyflow analytics rebuild"), size=1)
    database.open()
    try:
        yield database
    except psycopg.Error as error:
        raise PostgresDownError(
            f"the rebuild stopped, and what it has filled is kept; see whether Postgres runs, and its log: {error}"
        ) from error
    finally:
        database.close()


def _print(done: Rebuilding) -> None:
    cells = [(str(done.id), done.source, done.state, done.rows_read, done.rows_skipped, done.sums_corrected)]
    columns = ("rebuild", "from", "state", "rows read", "skipped", "sums corrected")
    console().print(table(*columns, rows=cells))
