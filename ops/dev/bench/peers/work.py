"""The work of the jobs, the same code in every system; only Money Flow inserts by its context's session."""

import threading
import time

import psycopg

from moneyflow.settings import load_all
from ops.dev.bench.peers.marks import mark

SLEEP_SECONDS = 0.01
INSERT = "insert into bench_effects (tag) values (%(tag)s)"

_local = threading.local()


def noop(tag: int) -> None:
    """Do nothing."""
    mark(tag, time.time())


def insert(tag: int) -> None:
    """Insert one row with autocommit, on this thread's own connection."""
    began = time.time()
    _connection().execute(INSERT, {"tag": tag})
    mark(tag, began)


def sleep(tag: int) -> None:
    """Sleep ten milliseconds."""
    began = time.time()
    time.sleep(SLEEP_SECONDS)
    mark(tag, began)


def _connection() -> "psycopg.Connection[tuple[object, ...]]":
    if not hasattr(_local, "connection"):
        conninfo = load_all().conninfo("app", application_name="bench insert")
        _local.connection = psycopg.connect(conninfo, autocommit=True)
    connection: psycopg.Connection[tuple[object, ...]] = _local.connection
    return connection
