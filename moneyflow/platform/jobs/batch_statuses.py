"""Statuses of batches for clients that poll them: one count serves all that ask in the next moments.

The members of an open batch are counted from their index, 100,000 of them in about 20 ms. The count of a large batch is
reused for twenty times as long as it took, two seconds at most, so that any number of clients costs a process a
twentieth of its time at most. A small batch is counted each time.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import Status
from moneyflow.platform.owner import OwnerScope

_REUSED_FACTOR = 20
#: Seconds that a count is reused at most, however long it took on a busy server.
_LONGEST_REUSED_SECONDS = 2.0
#: Members of a batch whose count takes a good part of a millisecond.
_LARGE = 1000


@dataclass(frozen=True)
class _Counted:
    status: Status
    until: float


@dataclass
class BatchStatuses:
    """Reads statuses of batches, and keeps those of `large` ones for a moment. `clock` counts seconds."""

    clock: Callable[[], float] = time.monotonic
    large: int = _LARGE
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: dict[UUID, _Counted] = field(default_factory=dict)

    def owned(self, scope: OwnerScope, batch_id: UUID) -> Status:
        """Return the status of a batch that the caller may read.

        Raises:
            NotFoundError: the batch is another user's, or there is none.
        """
        batches.check_owned(scope, batch_id)
        return self.of(scope.session, batch_id)

    def of(self, session: Session, batch_id: UUID) -> Status:
        """Return the status of a batch, counted lately.

        Raises:
            NotFoundError: there is no such batch.
        """
        began = self.clock()
        with self._lock:
            counted = self._counted.get(batch_id)
        if counted is not None and began < counted.until:
            return counted.status
        status = batches.status(session, batch_id)
        if status.state != "open" or status.total < self.large:
            return status
        now = self.clock()
        reused = min(_REUSED_FACTOR * (now - began), _LONGEST_REUSED_SECONDS)
        with self._lock:
            self._counted = {key: value for key, value in self._counted.items() if now < value.until}
            self._counted[batch_id] = _Counted(status, now + reused)
        return status
