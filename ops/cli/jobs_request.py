"""The acts of `moneyflow failed` and `moneyflow jobs` on many items: what they select, and the sweep that follows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.failed.failed_jobs import JOBS
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.jobs.failed.refused_source import REFUSED_MESSAGES
from moneyflow.platform.jobs.failed.use_cases import FailedItems
from moneyflow.platform.operations.reports import Report
from moneyflow.platform.operations.sources import Order, Selection
from ops.cli.operation_view import print_report
from ops.cli.operations import Performer, Request
from ops.cli.options import acting_operator, job_ids, operation_id
from ops.cli.output import passes
from ops.cli.servers import opened, opened_to_act
from ops.cli.times import rate_per_second


@dataclass(frozen=True, kw_only=True)
class JobsRequest(Request):
    """The options of a command that acts on many jobs, or refused messages."""

    names: Sequence[str]
    chosen: Filter
    refused: bool = False
    #: The group of commands, and what it acts on.
    group: str = "failed"
    source: str = JOBS
    origin: str | None = None
    keep_dead_letters: bool = False

    @property
    def command(self) -> str:
        """Return the command that carries out the verb."""
        return f"{self.group} {self.verb}"

    @property
    def selections(self) -> dict[str, bool]:
        """Return ids, filter and `--operation`; names of refused messages go together with each of them."""
        given = {
            "ids": bool(self.names) and not self.refused,
            "a filter": not self.chosen.is_empty,
            "--operation": self.origin is not None,
        }
        is_given = any(given.values()) or self.act.everything or self.act.resume is not None
        return given | {"messages": bool(self.names) and self.refused and not is_given}

    @property
    def ways(self) -> str:
        """Return the ways to select jobs."""
        look = "failed groups" if self.group == "failed" else "jobs find"
        return f"ids, a filter such as --kind or --error, or --all; `moneyflow {look}` shows what there is"

    def check(self) -> None:
        """Check the options; raises InvalidInputError."""
        super().check()
        if self.refused and (self.act.rate or self.canary):
            raise InvalidInputError("--rate and --canary are for jobs; leave them out with --refused")
        if self.act.resume and self.refused:
            raise InvalidInputError(
                "--resume continues with the options of its operation; give no other option with it"
            )

    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""
        origin = operation_id("--operation", self.origin) if self.origin else None
        ids = tuple(dict.fromkeys(self.names)) if self.refused else tuple(map(str, job_ids(self.names)))
        return Order(
            verb=self.verb,
            sources=self._sources(),
            selection=Selection(criteria=self.chosen, ids=ids, operation=origin),
            asked_by=acting_operator(self.act.by),
            reason=self.act.reason,
            rate=rate_per_second(self.act.rate, option="--rate") if self.act.rate is not None else None,
            canary=self.canary,
        )

    @contextmanager
    def performer(self, *, acts: bool) -> Iterator[FailedItems]:
        """Open the failed items; a command that acts notifies the relay."""
        with (opened_to_act if acts else opened)(self.command) as (settings, database):
            yield FailedItems.of(settings, database)

    def finish(self, performer: Performer, operation: UUID) -> Report:
        """Report an operation that has run, after a sweep of `jobs_failed` where it left stale dead letters."""
        assert isinstance(performer, FailedItems), "it is what this request has opened"
        with passes("removing stale dead letters") as on_progress:
            finished = performer.finish(operation, with_sweep=not self.keep_dead_letters, on_progress=on_progress)
        print_report(finished.report, swept=finished.swept, as_json=self.act.as_json)
        return finished.report

    def _sources(self) -> tuple[str, ...]:
        if self.origin:  # It may have been of jobs or of refused messages.
            return (JOBS, REFUSED_MESSAGES)
        return (REFUSED_MESSAGES,) if self.refused else (self.source,)
