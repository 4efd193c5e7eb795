"""Verdicts on the way to RabbitMQ, gathered from all threads and sent in few frames; and how much more it may bring."""

import math
import threading
import time
from collections import deque
from enum import Enum, auto

#: RabbitMQ has had the time to bring the next message when there is one.
_CREDIT_SECONDS = 0.005


class Verdict(Enum):
    """What becomes of a message once its job was looked at."""

    KEEP = auto()  #: Nothing yet: RabbitMQ delivers it again when this consumer is gone.
    ACK = auto()
    REJECT = auto()  #: To `jobs_failed`, by the broker itself.
    GIVE_BACK = auto()  #: To another worker that has time for it.


class Acks:
    """The delivery tags of one channel that are not settled, in their order, and the verdicts that wait to be sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._unsent: dict[int, Verdict] = {}

    def delivered(self, tag: int) -> None:
        """Note a message that came."""
        with self._lock:
            self._open.append(tag)

    def unsettled(self) -> int:
        """Return how many messages have no verdict that was sent."""
        with self._lock:
            return len(self._open) - len(self._done)

    def settled(self, tag: int, verdict: Verdict) -> bool:
        """Note a verdict; True when the sender must be called, False when it will come for this one anyway.

        The first verdict on a message stays: one that was given back may be looked at by a thread that had it in hand,
        and RabbitMQ closes the channel of who settles twice.
        """
        with self._lock:
            is_open = bool(self._open) and tag >= self._open[0] and tag not in self._done and tag not in self._unsent
            if not is_open:
                return False
            self._unsent[tag] = verdict
            return len(self._unsent) == 1

    def take(self) -> tuple[list[tuple[int, Verdict]], int | None]:
        """Return the verdicts to be sent one by one, and then the tag up to which all is to be acked at once, if any.

        That last ack settles every message before it, so it reaches no further than all of them are done; what is
        sent one by one is not among those that it acks, for RabbitMQ closes the channel of who acks twice.
        """
        with self._lock:
            unsent, self._unsent = self._unsent, {}
            self._done.update(unsent)
            last = None
            while self._open and self._open[0] in self._done:
                tag = self._open.popleft()
                self._done.discard(tag)
                if unsent.get(tag) is Verdict.ACK:
                    del unsent[tag]
                    last = tag
        return list(unsent.items()), last


class Credit:
    """Whether RabbitMQ could bring more messages than it does."""

    def __init__(self) -> None:
        self._spare_since = math.inf

    def note(self, messages: int) -> None:
        """Note how many more messages the consumer would take."""
        if messages <= 0:
            self._spare_since = math.inf
        elif self._spare_since == math.inf:
            self._spare_since = time.monotonic()

    def is_spare(self) -> bool:
        """Say whether there has been room for more for a moment: then RabbitMQ has nothing for this worker."""
        return time.monotonic() - self._spare_since > _CREDIT_SECONDS
