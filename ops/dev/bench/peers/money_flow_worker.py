"""`python -m ops.dev.bench.peers.money_flow_worker`: a worker of the product with the benchmark's handlers."""

import importlib
import runpy
import time
from collections.abc import Callable
from typing import Any

from moneyflow.platform.jobs.contract import Job
from ops.dev.bench.peers import work
from ops.dev.bench.peers.marks import mark
from ops.dev.bench.peers.money_flow import BenchInsert, BenchNoop, BenchSleep


def noop(_context: Any, job: BenchNoop) -> None:
    """Do nothing."""
    work.noop(job.tag)


def insert(context: Any, job: BenchInsert) -> None:
    """Insert one row that commits with the end of the job."""
    began = time.time()
    context.session.execute(work.INSERT, {"tag": job.tag})
    mark(job.tag, began)


def sleep(_context: Any, job: BenchSleep) -> None:
    """Sleep ten milliseconds."""
    work.sleep(job.tag)


_HANDLERS: dict[type[Job], Callable[..., None]] = {BenchNoop: noop, BenchInsert: insert, BenchSleep: sleep}


def main() -> None:
    """Register the benchmark's handlers, then run the product's worker."""
    handles = importlib.import_module("workers.handlers").handles  # By name: `ops` imports no other process.
    for contract, handler in _HANDLERS.items():
        handles(contract)(handler)
    runpy.run_module("workers", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
