"""What Postgres knows: jobs by state, pauses, schedules, and the processes that are connected."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.jobs.store import status as store
from moneyflow.platform.queries import load_queries
from moneyflow.platform.sinks.positions import rows as positions
from moneyflow.platform.status.snapshot import (
    Gap,
    Jobs,
    Oldest,
    Outbox,
    Parked,
    Pause,
    Relay,
    RunningJob,
    Schedule,
    Worker,
)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def read_jobs(session: Session) -> Jobs:
    """Return what Postgres knows; reads no finished job."""
    states: Counter[str] = Counter()
    for row in session.fetch_all(store.QUERIES["jobs_in_state"]):
        states[row["state"]] += row["jobs"]
    unpublished = session.fetch_all(_QUERIES["unpublished"])
    return Jobs(
        states=dict(states),
        oldest=_all(Oldest, session.fetch_all(store.QUERIES["oldest_due"])),
        pauses=_all(Pause, session.fetch_all(_QUERIES["pauses"])),
        parked=tuple(Parked(kind=row["kind"], reason=row["reason"], jobs=row["jobs"]) for row in store.parked(session)),
        schedules=_all(Schedule, session.fetch_all(_QUERIES["schedules"])),
        outbox=_all(Outbox, unpublished),
        workers=read_workers(session),
        relays=tuple(
            Relay(name=row["name"].removeprefix("relay leader "), is_leader=row["is_leader"])
            for row in session.fetch_all(_QUERIES["relays"])
        ),
        apis=tuple(row["name"].removeprefix("api ") for row in session.fetch_all(_QUERIES["apis"])),
        dead_letters_waiting=sum(row["rows"] for row in unpublished if row["kind"] == "dead_letter"),
        dead_events={row["sink"]: row["events"] for row in session.fetch_all(_QUERIES["dead_events"])},
        gaps=tuple(
            Gap(sink=row.place.sink, why=row.gap)
            for row in positions.read(session, positions.sinks(session))
            if row.gap is not None
        ),
    )


def read_workers(session: Session) -> tuple[Worker, ...]:
    """Return the workers that are connected, and those that died with jobs which are not rescued yet."""
    return tuple(_worker(row) for row in session.fetch_all(_QUERIES["workers"]))


def _worker(row: DictRow) -> Worker:
    running = tuple(
        RunningJob(
            id=job["id"],
            kind=job["kind"],
            attempt=job["attempt"],
            since=row["heartbeat_at"] - timedelta(seconds=job["seconds"]),
            seconds=row["silent_seconds"] + job["seconds"],
        )
        for job in row["running"]
    )
    return Worker(**{**row, "running": tuple(sorted(running, key=lambda job: job.since))})


def _all(kind: type[Any], rows: list[DictRow]) -> tuple[Any, ...]:
    return tuple(kind(**row) for row in rows)
