"""Retention of jobs, batches and schedules: days after their end, in this order, because a batch outlives its jobs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.ids import first_id
from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare
from moneyflow.platform.settings import RetentionSettings

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Ids hold the clock of the machine that enqueued, expiry is by Postgres's: the walk looks a day further than it must.
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class JobsRule(Rule):
    """A walk through all jobs that are old enough, page by page in the order of their ids, which needs no other index.

    `parameters` gives the times for which succeeded and cancelled jobs (`kept`) and discarded ones (`discarded_kept`)
    are kept. Failed jobs are kept until an operator replays or discards them.
    """

    def batches(self, session: Session, settings: RetentionSettings, *, limit: int) -> Iterator[int]:
        """Yield the deleted jobs of each page; times are compared with the moment at which the walk began."""
        times = self._times(session, settings)
        after, seen = UUID(int=0), limit
        while seen >= limit:
            row = session.fetch_one(self.query, {**times, "after": after, "limit": limit})
            assert row is not None, "an aggregate returns a row"
            seen, after = row["seen"], row["last_id"]
            yield row["deleted"]

    def _times(self, session: Session, settings: RetentionSettings) -> dict[str, Any]:
        """Return the moments before which jobs have expired, and the id from which on none has, by Postgres's clock."""
        row = session.fetch_one(_QUERIES["now"])
        assert row is not None
        kept = self.parameters(settings)
        ended_before, discarded_before = row["now"] - kept["kept"], row["now"] - kept["discarded_kept"]
        return {
            "ended_before": ended_before,
            "discarded_before": discarded_before,
            "before": first_id(max(ended_before, discarded_before) + _CLOCK_SKEW),
        }


def _kept(settings: RetentionSettings) -> Mapping[str, timedelta]:
    return {"kept": timedelta(days=settings.jobs_kept_days)}


def _jobs_kept(settings: RetentionSettings) -> Mapping[str, timedelta]:
    return {**_kept(settings), "discarded_kept": timedelta(days=settings.jobs_discarded_kept_days)}


JOBS = declare(JobsRule(table="jobs", query=_QUERIES["jobs"], parameters=_jobs_kept))
declare(Rule(table="batches", query=_QUERIES["batches"], parameters=_kept))
declare(Rule(table="schedules", query=_QUERIES["schedules"], parameters=_kept))
