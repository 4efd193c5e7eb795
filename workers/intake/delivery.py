"""A delivery: the message of one job as this process got it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from workers.intake.acks import Verdict


def _unsettled(_: Verdict) -> None:
    """Settle nothing: for a delivery that came by no consumer."""


@dataclass(eq=False, kw_only=True)
class Delivery:
    """A message as this process got it; the runtime sets its verdict, or settles it later itself."""

    job_id: UUID
    priority: int
    #: Of a dead letter that was moved here: the fence of the failure that it tells of.
    letter_fence: int | None = None
    verdict: Verdict = Verdict.KEEP
    #: Settles the message on the consumer that it came by, from any thread, whenever that is.
    settle: Callable[[Verdict], None] = _unsettled
    arrived_at: float = field(default_factory=time.monotonic)
    #: It has gone back to RabbitMQ before a thread came to it.
    is_given_back: bool = False
    #: Not when the job was taken by its name: then there is nothing to settle.
    has_message: bool = True
