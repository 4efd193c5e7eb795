"""What lies in this worker's window: claimed with one statement by the first thread that needs a job of it."""

import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from moneyflow.ledger.claim import Claim
from workers.broker import Delivery

ClaimMany = Callable[[Sequence[UUID]], list[Claim]]


class Window:
    """The deliveries of this process that no thread has begun, claimed together.

    Under load one statement takes the whole window; an idle worker takes one job at once. Two deliveries of one job
    share one claim: the first gets it.
    """

    def __init__(self, claim_many: ClaimMany) -> None:
        self._claim_many = claim_many
        self._claiming = threading.Lock()
        self._arriving = threading.Lock()
        self._waiting: list[Delivery] = []
        self._claims: dict[Delivery, Claim] = {}

    def arrived(self, delivery: Delivery) -> None:
        """Note a delivery; called by the thread that talks with RabbitMQ, so it never waits for Postgres."""
        with self._arriving:
            self._waiting.append(delivery)

    def take(self, delivery: Delivery) -> Claim | None:
        """Return the delivery's claim, or None when its job was not there to be claimed."""
        with self._claiming:
            if delivery in self._waiting:
                self._claim_all()
            return self._claims.pop(delivery, None)

    def forget(self, delivery: Delivery) -> None:
        """Note that nobody will take the delivery any more."""
        with self._claiming, self._arriving:
            if delivery in self._waiting:
                self._waiting.remove(delivery)
            self._claims.pop(delivery, None)

    def drain(self) -> list[Claim]:
        """Forget everything, and return the claims that no thread has taken."""
        with self._claiming:
            claims = list(self._claims.values())
            self._claims.clear()
            return claims

    def _claim_all(self) -> None:
        with self._arriving:
            waiting = list(self._waiting)
        first = {delivery.job_id: delivery for delivery in reversed(waiting)}
        for claim in self._claim_many(list(first)):
            self._claims[first[claim.id]] = claim
        with self._arriving:
            del self._waiting[: len(waiting)]
