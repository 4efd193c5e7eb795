"""Completer: a thread that writes the successes of jobs that touched no table, many in one commit.

Such a job has nothing to commit but its end, and a commit waits for the disk. The thread that ran it takes the next job
at once; this one writes what has gathered while it wrote the last batch, and then has the messages acked.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog

from moneyflow.platform.jobs.store.completion import Success
from workers.claims.retry import PostgresRetry, StoppingError

log = structlog.get_logger(__name__)

SucceedMany = Callable[[Sequence[Success]], Collection[UUID]]

#: Successes in one statement at most.
_MOST_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A success to write, and what is called once it is written."""

    success: Success
    #: Called with True when the fence still held, with False when the job was taken over.
    committed: Callable[[bool], None]
    #: Called when Postgres refuses to store this very success.
    refused: Callable[[Exception], None]


class Completer:
    """Writes what is handed over, in the order in which it came.

    `succeed_many` writes successes in a transaction and returns the ids of those whose fences held.
    """

    def __init__(self, succeed_many: SucceedMany, retry: PostgresRetry) -> None:
        self._succeed_many = succeed_many
        self._retry = retry
        self._changed = threading.Condition()
        self._pending: list[Pending] = []
        self._writing = False
        self.thread = threading.Thread(target=self._run, name="completer", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self.thread.start()

    def hand_over(self, pending: Pending) -> None:
        """Have a success written soon; returns at once."""
        with self._changed:
            self._pending.append(pending)
            if not self._writing:
                self._changed.notify()

    def wait_until_written(self, seconds: float) -> bool:
        """Wait until nothing is left to write; return False when that takes longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending and not self._writing, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._pending))
                batch, self._pending = self._pending[:_MOST_AT_ONCE], self._pending[_MOST_AT_ONCE:]
                self._writing = True
            try:
                self._write(batch)
            except StoppingError:
                log.warning("successes_not_written", jobs=len(batch), consequence="the jobs run again elsewhere")
            except Exception:
                log.exception("unexpected_error", consequence="these jobs are rescued when their leases end")

    def _write(self, batch: Sequence[Pending]) -> None:
        try:
            held = self._retry(lambda: self._succeed_many([pending.success for pending in batch]))
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - one that cannot be stored must not keep the others from it
            if len(batch) == 1:
                _call(partial(batch[0].refused, error))
                return
            for pending in batch:
                self._write([pending])
            return
        for pending in batch:
            _call(partial(pending.committed, pending.success.claim.id in held))


def _call(callback: Callable[[], None]) -> None:
    """Call back; what one job's callback raises keeps no other job of the batch from its own."""
    try:
        callback()
    except StoppingError:
        raise
    except Exception:
        log.exception("unexpected_error", consequence="this job is rescued when its lease ends, unless it has ended")
