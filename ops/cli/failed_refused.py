"""`--refused`: the messages of `jobs_failed` that have no job, as `moneyflow failed` shows, moves and drops them."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from moneyflow.platform.brokers.failed_queue import FailedQueue
from moneyflow.platform.database import Database
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.jobs.failed import refused_messages
from moneyflow.platform.jobs.failed.groups import Filter, Group
from moneyflow.platform.jobs.failed.refused_messages import Refused
from moneyflow.platform.jobs.failed.store import Order
from moneyflow.platform.settings import Settings
from ops.cli.failed_report import print_report, report_of
from ops.cli.output import console, fixed, more, plain, print_json, progress_bar, table


def groups(settings: Settings, database: Database, chosen: Filter) -> list[Group]:
    """Return the groups of messages that have no job."""
    return refused_messages.groups_of(_found(settings, database, chosen))


def print_list(settings: Settings, database: Database, chosen: Filter, *, limit: int, as_json: bool) -> None:
    """List the messages that have no job."""
    found = _found(settings, database, chosen)
    if as_json:
        print_json({"total": len(found), "messages": [_as_json(one) for one in found[:limit]]})
        return
    rows = [
        (m.letter.fingerprint, m.kind, m.letter.moment, m.error_class, m.message, m.letter.death.get("reason"))
        for m in found[:limit]
    ]
    columns = (fixed("message"), "calls itself", "at (UTC)", "error", "why", "x-death")
    console().print(table(*columns, rows=rows, title=f"{len(found)} messages that have no job"))
    more(len(found), limit)


def print_one(settings: Settings, database: Database, name: str, *, as_json: bool) -> None:
    """Show one message with its bytes; raises NotFoundError."""
    found = _found(settings, database, Filter(), (name,))
    if not found:
        raise NotFoundError(f"{name} is neither the id of a job nor a message of `moneyflow failed list --refused`")
    message = _as_json(found[0]) | {"copies": len(found)}
    if as_json:
        print_json(message)
        return
    rows = [(key, value) for key, value in message.items() if key not in {"body", "body_text"}]
    console().print(table("field", "value", rows=rows))
    console().print(plain("body", style="bold"))
    console().print(plain(message["body_text"]))


def preview(settings: Settings, database: Database, order: Order, names: Sequence[str], *, as_json: bool) -> None:
    """Say which messages the order means; changes nothing."""
    found = [one.letter.fingerprint for one in _found(settings, database, order.selection.filter, names)]
    if as_json:
        results = {refused_messages.RESULTS[order.verb]: len(found)}
        print_json({"dry_run": True, "verb": order.verb, "results": results, "messages": found})
        return
    console().print(f"{order.verb} would end so for {len(found)} messages; nothing was changed")


def act(settings: Settings, database: Database, order: Order, names: Sequence[str], *, as_json: bool) -> None:
    """Move messages to `jobs`, or drop them; raises NotFoundError when one that was named is not there."""
    operation = refused_messages.begin(database, order, fingerprints=names)
    with FailedQueue(settings) as queue, progress_bar() as bar:
        task = bar.add_task(str(order.verb), total=None)
        for done in refused_messages.run(database, queue, order, operation, fingerprints=names):
            bar.update(task, completed=done)
    with database.transaction() as session:
        report = report_of(session, operation)
    print_report(report, as_json=as_json)
    missing = set(names) - {item["message"] for item in report["items"]}
    if missing:
        raise NotFoundError(f"there is no such message any more: {', '.join(sorted(missing))}")


def _found(settings: Settings, database: Database, chosen: Filter, names: Sequence[str] = ()) -> list[Refused]:
    found: list[Refused] = []
    with FailedQueue(settings) as queue, progress_bar() as progress:
        task = progress.add_task("looking through jobs_failed", total=None)
        with closing(refused_messages.refused(database, queue, chosen, fingerprints=names)) as batches:
            for batch in batches:
                found += batch
                progress.update(task, advance=1)
    return found


def _as_json(one: Refused) -> dict[str, Any]:
    why = {"message": one.letter.fingerprint, "group": one.group, "error_class": one.error_class, "why": one.message}
    text = one.letter.body.decode("utf-8", "backslashreplace")
    return {**why, "at": one.letter.moment, **one.letter.as_json(), "body_text": text}
