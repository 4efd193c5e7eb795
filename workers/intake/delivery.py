"""Delivery: the notice that one job can run, and how it is settled."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import UUID


class Verdict(Enum):
    """What becomes of a delivery's message."""

    ACK = auto()  #: It is done with.
    REJECT = auto()  #: RabbitMQ puts it on `jobs_failed`.
    REQUEUE = auto()  #: RabbitMQ delivers it again, to whichever worker has room.


@dataclass(eq=False, kw_only=True)
class Delivery:
    """A job that was delivered to this process. `settle` takes the verdict, once, from any thread."""

    job_id: UUID
    priority: int
    settle: Callable[[Verdict], None]
    #: Of a dead letter that was moved to `jobs`: the fence of the failure that it describes.
    dead_letter_fence: int | None = None
    #: Dropped when its job cannot be claimed any more: another delivery of the job follows.
    is_best_effort: bool = False
    #: It needs nothing any more: given back before a thread came to it.
    is_settled: bool = False
    #: By this process's monotonic clock.
    arrived_at: float = field(default_factory=time.monotonic)
