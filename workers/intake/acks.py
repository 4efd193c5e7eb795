"""Acks: the verdicts of one channel, gathered from all threads and sent to RabbitMQ in few frames."""

import threading
from collections import deque

from workers.intake.delivery import Verdict


class Acks:
    """The delivery tags of one channel that are not settled, in their order, and the verdicts to send."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._unsent: dict[int, Verdict] = {}

    def delivered(self, tag: int) -> None:
        """Record a message that came."""
        with self._lock:
            self._open.append(tag)

    def unsettled(self) -> int:
        """Return how many messages have no verdict that was sent."""
        with self._lock:
            return len(self._open) - len(self._done)

    def settled(self, tag: int, verdict: Verdict) -> bool:
        """Record a verdict; return True when the sender must be called, False when it will send this one anyway.

        The first verdict on a message counts: a thread may hold one that was given back, and RabbitMQ closes a channel
        on which a message is settled twice.
        """
        with self._lock:
            is_open = bool(self._open) and tag >= self._open[0] and tag not in self._done and tag not in self._unsent
            if not is_open:
                return False
            self._unsent[tag] = verdict
            return len(self._unsent) == 1

    def take(self) -> tuple[list[tuple[int, Verdict]], int | None]:
        """Return the verdicts to send one by one, and the tag up to which all messages are acked at once, if any.

        That ack settles every message before it, so it reaches no further than all of them are done. The verdicts
        that are sent one by one are not among those that it acks.
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
