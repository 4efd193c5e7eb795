"""Procrastinate on the same Postgres, in a database of its own."""

import time
from collections.abc import Sequence
from typing import Any

from procrastinate import App, PsycopgConnector

from ops.dev.bench.peers import work
from ops.dev.bench.peers.addresses import procrastinate_conninfo

_URGENT = 9

app = App(connector=PsycopgConnector(conninfo=procrastinate_conninfo()))

_TASKS = {
    "noop": app.task(name="noop")(work.noop),
    "insert": app.task(name="insert")(work.insert),
    "sleep": app.task(name="sleep")(work.sleep),
}


class Client:
    """Defers jobs, one in a transaction or many in one statement."""

    def __init__(self) -> None:
        app.open()

    def enqueue(self, kind: str, tags: Sequence[int], *, urgent: bool) -> float:
        """Defer the jobs together; return when that returned."""
        task = _TASKS[kind].configure(priority=_URGENT if urgent else 0)
        if len(tags) == 1:
            task.defer(tag=tags[0])
        else:
            lots: list[dict[str, Any]] = [{"tag": tag} for tag in tags]
            task.batch_defer(*lots)
        return time.time()
