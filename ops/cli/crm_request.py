"""The act of `moneyflow crm resync` on many people: what it selects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from moneyflow.crm.resync import CONTACTS, CrmContacts, Filter, person_id
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.sources import Order, Selection
from ops.cli.operations import Request
from ops.cli.options import acting_operator
from ops.cli.servers import opened
from ops.cli.times import rate_per_second


@dataclass(frozen=True, kw_only=True)
class ResyncRequest(Request):
    """The options of a resync; `differing` are the ids that a comparison has found, None without one."""

    names: Sequence[str]
    chosen: Filter
    differing: Sequence[str] | None = None

    @property
    def command(self) -> str:
        """Return the command that carries out the verb."""
        return f"crm {self.verb}"

    @property
    def selections(self) -> dict[str, bool]:
        """Return ids, filter and `--differing`."""
        return {
            "ids": bool(self.names),
            "a filter": not self.chosen.is_empty,
            "--differing": self.differing is not None,
        }

    @property
    def ways(self) -> str:
        """Return the ways to select people."""
        return "ids, --state, --error, --differing, or --all; `moneyflow crm status` shows what there is"

    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""
        ids = self.names if self.differing is None else self.differing
        return Order(
            verb=self.verb,
            sources=(CONTACTS,),
            selection=Selection(criteria=self.chosen, ids=tuple(dict.fromkeys(str(person_id(name)) for name in ids))),
            asked_by=acting_operator(self.act.by),
            reason=self.act.reason,
            rate=rate_per_second(self.act.rate, option="--rate") if self.act.rate is not None else None,
            canary=self.canary,
        )

    @contextmanager
    def performer(self, *, acts: bool) -> Iterator[Operations]:  # noqa: ARG002 - the sender looks for due people itself
        """Open the operations on contacts."""
        with opened(self.command) as (_, database):
            yield Operations(database, [CrmContacts()])
