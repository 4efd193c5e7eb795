"""Claim buffer: the deliveries of this worker that no thread has started, claimed together in one statement."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from uuid import UUID

from moneyflow.platform.jobs.store.claims import Claim
from workers.intake.delivery import Delivery, Verdict

ClaimMany = Callable[[Sequence[UUID]], list[Claim]]


class _InHand:
    """The block of `in_hand`. PERF: every job has one, and a generator takes three times as long."""

    __slots__ = ("_buffer", "_delivery")

    def __init__(self, buffer: "ClaimBuffer", delivery: Delivery) -> None:
        self._buffer, self._delivery = buffer, delivery

    def __enter__(self) -> None:
        self._buffer.begin(self._delivery)

    def __exit__(self, *_: object) -> None:
        self._buffer.end(self._delivery)


class ClaimBuffer:
    """Deliveries that wait for a thread, their claims, and the threads that are busy.

    Under load one statement claims all that waits; an idle worker claims one job at once. Two deliveries of one job
    share one claim: the first gets it.
    """

    def __init__(self, claim_many: ClaimMany) -> None:
        self._claim_many = claim_many
        #: Held while Postgres is asked; `_lock` never is, so that the consumer's thread waits for no statement.
        self._claiming = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[Delivery, None] = {}
        self._claims: dict[Delivery, Claim] = {}
        self._in_hand: set[Delivery] = set()
        self._freed = threading.Event()

    def arrived(self, delivery: Delivery) -> None:
        """Add a delivery."""
        with self._lock:
            self._waiting[delivery] = None

    def in_hand(self, delivery: Delivery) -> AbstractContextManager[None]:
        """Count the calling thread as busy with the delivery for the block."""
        return _InHand(self, delivery)

    def begin(self, delivery: Delivery) -> None:
        """Count the calling thread as busy with the delivery, until `end`; see `in_hand`."""
        with self._lock:
            self._in_hand.add(delivery)

    def end(self, delivery: Delivery) -> None:
        """Count the calling thread as idle again."""
        with self._lock:
            self._in_hand.discard(delivery)
            is_idle = not self._waiting and not self._claims
        if is_idle:  # Else the thread takes the next delivery, and only then there is room.
            self._freed.set()

    def take(self, delivery: Delivery) -> Claim | None:
        """Return the delivery's claim, or None when its job could not be claimed."""
        with self._lock:
            claim = self._claims.pop(delivery, None)
        if claim is None:
            with self._claiming:
                if delivery in self._waiting:
                    self._claim_waiting()
                with self._lock:
                    claim = self._claims.pop(delivery, None)
        if not self._freed.is_set():  # PERF: a thread that waits looks at the buffer after it has cleared the event.
            self._freed.set()
        return claim

    def is_duplicate(self, delivery: Delivery) -> bool:
        """Return whether a thread has an earlier message of the same job in hand, which settles the job."""
        with self._lock:
            return any(
                other.job_id == delivery.job_id and other.arrived_at < delivery.arrived_at and not other.is_best_effort
                for other in self._in_hand
            )

    def forget(self, delivery: Delivery) -> None:
        """Drop a delivery that no thread will take."""
        with self._claiming, self._lock:
            self._waiting.pop(delivery, None)
            self._claims.pop(delivery, None)

    def give_back(self) -> tuple[list[Delivery], list[Claim]]:
        """Empty the buffer; return its deliveries without a claim, settled as requeued, and the claims to release.

        The deliveries of the claims are acked by their release. A thread that comes to any of them does nothing.
        """
        with self._claiming, self._lock:
            unclaimed, claims = list(self._waiting), dict(self._claims)
            self._waiting.clear()
            self._claims.clear()
            for delivery in (*unclaimed, *claims):
                delivery.is_settled = True
        for delivery in unclaimed:
            delivery.settle(Verdict.REQUEUE)
        return list(claims), list(claims.values())

    def unstarted(self) -> int:
        """Return how many deliveries no thread has started."""
        with self._lock:
            return len(self._waiting) + len(self._claims)

    def busy(self) -> int:
        """Return how many threads have a delivery in hand."""
        with self._lock:
            return len(self._in_hand)

    def best_effort(self) -> tuple[int, int]:
        """Return how many best-effort deliveries wait here, and how many are in hand: they take no prefetch."""
        with self._lock:
            waiting = sum(delivery.is_best_effort for delivery in self._unstarted())
            return waiting, sum(delivery.is_best_effort for delivery in self._in_hand)

    def lowest_priority(self) -> int | None:
        """Return the lowest priority that waits here; None when nothing waits."""
        with self._lock:
            return min((delivery.priority for delivery in self._unstarted()), default=None)

    def oldest_seconds(self) -> float:
        """Return for how many seconds the oldest delivery has waited for a thread."""
        with self._lock:
            arrivals = [delivery.arrived_at for delivery in self._unstarted()]
        return time.monotonic() - min(arrivals) if arrivals else 0.0

    def wait_until_freed(self, seconds: float) -> bool:
        """Wait until a thread takes a delivery or becomes idle, at most this many seconds; return whether one did."""
        is_freed = self._freed.wait(seconds)
        self._freed.clear()
        return is_freed

    def _unstarted(self) -> Iterator[Delivery]:
        """Iterate over what no thread has started; the caller holds the lock."""
        return chain(self._waiting, self._claims)

    def _claim_waiting(self) -> None:
        with self._lock:
            deliveries = list(self._waiting)
        first = {delivery.job_id: delivery for delivery in reversed(deliveries)}
        claims = {first[claim.id]: claim for claim in self._claim_many(list(first))}
        with self._lock:
            self._claims |= claims
            for delivery in deliveries:
                self._waiting.pop(delivery, None)
