"""What lies in this worker's window: claimed with one statement by the first thread that needs a job of it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from uuid import UUID

from moneyflow.platform.jobs.store.claims import Claim
from workers.intake.delivery import Delivery

ClaimMany = Callable[[Sequence[UUID]], list[Claim]]


class ClaimBuffer:
    """The deliveries of this process that no thread has begun, claimed together.

    Under load one statement takes the whole window; an idle worker takes one job at once. Two deliveries of one job
    share one claim: the first gets it. Among them are deliveries without a message, which came by the shortcut.
    """

    def __init__(self, claim_many: ClaimMany) -> None:
        self._claim_many = claim_many
        self._claiming = threading.Lock()
        self._arriving = threading.Lock()
        self._waiting: dict[Delivery, None] = {}
        self._claims: dict[Delivery, Claim] = {}

    def arrived(self, delivery: Delivery) -> None:
        """Note a delivery; called by the thread that talks with RabbitMQ, so it never waits for Postgres."""
        with self._arriving:
            self._waiting[delivery] = None

    def take(self, delivery: Delivery) -> Claim | None:
        """Return the delivery's claim, or None when its job was not there to be claimed."""
        with self._arriving:
            claim = self._claims.pop(delivery, None)
        if claim is not None:
            return claim  # And nobody waits for what is being claimed meanwhile.
        with self._claiming:
            if delivery in self._waiting:
                self._claim(self._all_waiting())
            with self._arriving:
                return self._claims.pop(delivery, None)

    def claim_now(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Claim these before all else that waits, and return those of them that are claimed; the others are forgotten.

        Raises:
            psycopg.Error: nothing was claimed.
        """
        with self._claiming:
            return self._claim(deliveries)

    def claimed(self) -> set[UUID]:
        """Return the jobs that are claimed and that no thread has begun."""
        with self._arriving:
            return {claim.id for claim in self._claims.values()}

    def unstarted(self) -> int:
        """Return how many deliveries no thread has begun."""
        with self._arriving:
            return len(self._waiting) + len(self._claims)

    def without_message(self) -> int:
        """Return how many of them have no message."""
        with self._arriving:
            return sum(not delivery.has_message for delivery in self._unstarted())

    def lowest_priority(self) -> int | None:
        """Return the lowest priority among them; None when there are none."""
        with self._arriving:
            return min((delivery.priority for delivery in self._unstarted()), default=None)

    def forget(self, delivery: Delivery) -> None:
        """Note that nobody will take the delivery any more."""
        with self._claiming, self._arriving:
            self._waiting.pop(delivery, None)
            self._claims.pop(delivery, None)

    def oldest_seconds(self) -> float:
        """Return for how long the oldest delivery has waited for a thread."""
        with self._arriving:
            arrivals = [delivery.arrived_at for delivery in self._unstarted()]
        return time.monotonic() - min(arrivals) if arrivals else 0.0

    def empty(self) -> dict[Delivery, Claim | None]:
        """Forget everything, and return the deliveries that no thread has begun, with the claims among them.

        A thread that comes to one of them later does nothing.
        """
        with self._claiming, self._arriving:
            unstarted = dict.fromkeys(self._waiting) | self._claims
            self._waiting.clear()
            self._claims.clear()
            for delivery in unstarted:
                delivery.is_given_back = True
            return unstarted

    def _unstarted(self) -> Iterator[Delivery]:
        """Go through them; the caller holds the lock."""
        return chain(self._waiting, self._claims)

    def _all_waiting(self) -> list[Delivery]:
        with self._arriving:
            return list(self._waiting)

    def _claim(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        first = {delivery.job_id: delivery for delivery in reversed(deliveries)}
        claims = {first[claim.id]: claim for claim in self._claim_many(list(first))}
        with self._arriving:
            self._claims |= claims
            for delivery in deliveries:
                self._waiting.pop(delivery, None)
        return [delivery for delivery in deliveries if delivery in claims]
