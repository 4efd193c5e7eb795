"""Use cases for failed jobs and refused messages, as command line and web console present them.

Groups and lists show what failed; an operation acts on it (preview, freeze, run, resume, finish); a sweep removes stale
dead letters. Inputs and outputs are frozen values, long acts report their progress, and every error is of the one tree.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.platform.errors import MoneyFlowError, NotFoundError
from moneyflow.platform.jobs.failed import dead_letters, filters, groups, refused_messages
from moneyflow.platform.jobs.failed.dead_letters import Swept
from moneyflow.platform.jobs.failed.failed_jobs import DISCARD, JOBS, REPLAY, FailedJobs
from moneyflow.platform.jobs.failed.filters import DeadState, Filter
from moneyflow.platform.jobs.failed.groups import REFUSED, Group
from moneyflow.platform.jobs.failed.refused_messages import Refused
from moneyflow.platform.jobs.failed.refused_source import RefusedMessages
from moneyflow.platform.jobs.failed.waiting_jobs import WaitingJobs
from moneyflow.platform.operations.ends import END_SECONDS
from moneyflow.platform.operations.engine import CANARY_SECONDS, Operations
from moneyflow.platform.operations.reports import Preview, Progress, Report
from moneyflow.platform.operations.sources import UNCONFIRMED_ITEMS, Order
from moneyflow.platform.settings import RabbitmqSettings

if TYPE_CHECKING:  # PERF: kombu takes longer to import than most commands take to run.
    from moneyflow.platform.brokers.failed_queue import FailedQueue

OnProgress = Callable[[int], object]


def _ignored(_: int) -> None:
    """Report progress to no one."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of failures, the most numerous first, and the number of failures in all of them."""

    total: int
    groups: Sequence[Group]


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """The newest jobs that match, and the number of all that match."""

    total: int
    jobs: Sequence[DictRow]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """An operation's report, and the sweep that followed it, if any did."""

    report: Report
    swept: Swept | None = None


class FailedItems:
    """The use cases over Postgres and the queue `jobs_failed`, which is opened only where it is read or changed."""

    def __init__(self, database: Database, open_queue: "Callable[[], FailedQueue]") -> None:
        self._database = database
        self._open_queue = open_queue
        sources = FailedJobs(database), RefusedMessages(database, open_queue), WaitingJobs(database)
        self._operations = Operations(database, sources)

    @classmethod
    def of(cls, settings: RabbitmqSettings, database: Database) -> "FailedItems":
        """Return the use cases on the servers of the settings."""

        def open_queue() -> "FailedQueue":
            from moneyflow.platform.brokers.failed_queue import FailedQueue  # noqa: PLC0415 - PERF: as above

            return FailedQueue(settings)

        return cls(database, open_queue)

    def groups(self, chosen: Filter, *, with_refused: bool = False, on_progress: OnProgress = _ignored) -> Groups:
        """Return the groups of failed jobs and, when asked for, of refused messages."""
        of_jobs = replace(chosen, kinds=tuple(kind for kind in chosen.kinds if kind != REFUSED))
        with self._database.transaction() as session:
            filters.check(session, of_jobs if not with_refused else replace(of_jobs, groups=()), state="failed")
            found = groups.groups(session, chosen)
        if with_refused:
            refused = self._refused(chosen, on_progress=on_progress)
            self._check_groups(chosen, {one.group for one in refused})
            found += refused_messages.groups_of(refused)
        return Groups(total=sum(one.jobs for one in found), groups=sorted(found, key=lambda one: -one.jobs))

    def page(self, chosen: Filter, *, state: DeadState = "failed", limit: int) -> JobPage:
        """Return the newest failed or discarded jobs that match."""
        with self._database.transaction() as session:
            filters.check(session, chosen, state=state)
            jobs, total = groups.page(session, chosen, state=state, limit=limit)
        return JobPage(total=total, jobs=jobs)

    def refused(
        self, chosen: Filter, *, fingerprints: Collection[str] = (), on_progress: OnProgress = _ignored
    ) -> list[Refused]:
        """Return the refused messages that match, in the queue's order; calls back once for each batch of the queue.

        Raises:
            NotFoundError: none of the messages that match is of a group of the filter.
        """
        found = self._refused(chosen, fingerprints=fingerprints, on_progress=on_progress)
        filters.unknown_group(chosen.groups, {one.group for one in found}, among="the refused messages")
        return found

    def _refused(
        self, chosen: Filter, *, fingerprints: Collection[str] = (), on_progress: OnProgress = _ignored
    ) -> list[Refused]:
        with self._open_queue() as queue:
            return refused_messages.find(
                self._database, queue, chosen, fingerprints=fingerprints, on_progress=on_progress
            )

    def refused_message(self, fingerprint: str, *, on_progress: OnProgress = _ignored) -> list[Refused]:
        """Return a refused message with its copies; raises NotFoundError."""
        found = self.refused(Filter(), fingerprints=(fingerprint,), on_progress=on_progress)
        if not found:
            raise NotFoundError(
                f"{fingerprint} is neither the id of a job nor the name of a refused message", about="failed_item"
            )
        return found

    def _check_groups(self, chosen: Filter, refused: Collection[str]) -> None:
        """Check that the groups exist that are none of refused messages."""
        with self._database.transaction() as session:
            filters.check_groups(session, set(chosen.groups) - set(refused), state="failed")

    def preview(self, order: Order) -> Preview:
        """Return the outcome that each item of the order would have; keeps and changes nothing."""
        return self._operations.preview(order)

    def takes_canary(self, order: Order) -> bool:
        """Return whether the order starts work that a canary can verify; raises InvalidInputError."""
        return self._operations.takes_canary(order)

    def freeze(self, order: Order, *, confirmed: int = UNCONFIRMED_ITEMS) -> UUID:
        """Freeze the order's items and return the id of the operation that `run` carries out.

        Raises:
            InvalidInputError: a source does not support the order, or cannot read its selection.
            UnconfirmedError: there are more items than `confirmed`, and no canary goes first; nothing is kept.
        """
        return self._operations.freeze(order, confirmed=confirmed)

    def resume(self, operation_id: UUID, *, verb: str) -> None:
        """Let `run` continue an operation that was killed, or that its canary had stopped."""
        self._operations.resume(operation_id, verb=verb)

    def run(
        self, operation_id: UUID, *, canary_seconds: float = CANARY_SECONDS, end_seconds: float = END_SECONDS
    ) -> Iterator[Progress]:
        """Act on the operation's open items, canary first, and yield the progress."""
        return self._operations.run(operation_id, canary_seconds=canary_seconds, end_seconds=end_seconds)

    def finish(self, operation_id: UUID, *, with_sweep: bool = True, on_progress: OnProgress = _ignored) -> Finished:
        """Return the report of an operation that has run, after a sweep where it left stale dead letters."""
        report = self.report(operation_id)
        is_over = report.operation["verb"] in {REPLAY, DISCARD} and JOBS in report.operation["sources"]
        if not (with_sweep and is_over and report.has_acted):
            return Finished(report=report)
        return Finished(report=report, swept=self.sweep(on_progress=on_progress))

    def report(self, operation_id: UUID) -> Report:
        """Return an operation with the result of each item; raises NotFoundError."""
        return self._operations.report(operation_id)

    def operations(self, *, limit: int) -> list[DictRow]:
        """Return the newest operations, each with the number of its open items."""
        return self._operations.recent(limit=limit)

    def sweep(self, *, on_progress: OnProgress = _ignored) -> Swept:
        """Remove stale dead letters from `jobs_failed`; when that cannot be done now, say why: they do no harm."""
        try:
            with self._open_queue() as queue:
                return dead_letters.sweep(self._database, queue, on_progress=on_progress)
        except MoneyFlowError as error:
            return Swept(undone=error.detail)
