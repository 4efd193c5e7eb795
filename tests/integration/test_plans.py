"""A worker's plans are kept while its tables grow, each by the job's id, also where another plan was cheaper."""

import re
from typing import Any

import psycopg
import pytest

from moneyflow.platform.database import BY_KEYS
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import claims, completion, status
from moneyflow.platform.queries import array
from moneyflow.settings import AllSettings

_ID = new_id()
#: Of any statement of a worker; what one does not name is left alone.
_PARAMETERS: dict[str, Any] = {
    "id": _ID, "ids": array([_ID]), "fence": 1, "fences": array([1]), "attempt": 1, "seconds": 1.0, "wait_seconds": 1.0,
    "progress": None, "result": None, "done": "[]", "outcome": "retried", "error_class": None,
    "error_message": None, "error_group": None, "error_traceback": None,
}  # fmt: skip
_STATEMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (query, _PARAMETERS | {"worker": 1}) for name, query in claims.QUERIES.items() if name != "durably"},
    **{name: (query, _PARAMETERS | {"worker": "worker"}) for name, query in completion.QUERIES.items()},
}


@pytest.mark.parametrize("name", _STATEMENTS)
def test_a_workers_statement_finds_its_jobs_by_their_ids(name: str, settings: AllSettings) -> None:
    query, parameters = _STATEMENTS[name]
    conninfo = settings.conninfo("worker", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, options=BY_KEYS) as connection:
        explain: Any = f"explain {query}"
        plan = "\n".join(line for (line,) in connection.execute(explain, parameters))

    ways = set(re.findall(r"(Index (?:Only )?Scan using \w+|Bitmap Heap Scan|Seq Scan) on jobs\b", plan))
    assert ways == {"Index Scan using jobs_pkey"}, plan


@pytest.mark.parametrize("name", ["counts", "jobs_in_state"])
def test_waiting_jobs_are_counted_by_the_index_of_due_jobs_alone(name: str, settings: AllSettings) -> None:
    """A column that the index lacks would have each count read the table, and all finished jobs in it."""
    conninfo = settings.conninfo("worker", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, options="-c enable_seqscan=off") as connection:
        explain: Any = f"explain {status.QUERIES[name]}"
        plan = "\n".join(line for (line,) in connection.execute(explain))

    assert "Index Only Scan using jobs_due_idx" in plan
