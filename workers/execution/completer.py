"""Finishes of jobs that touched no table, many in one commit, by a thread of its own.

Such a job has nothing to commit but its end, and a commit waits for the disk. The thread that ran it goes on to the
next job at once; this one writes whatever has gathered while it wrote the last, and then lets the messages be acked.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from moneyflow.platform.jobs.store.completion import Success
from workers.claims.retry import PostgresRetry, StoppingError

log = structlog.get_logger(__name__)

SucceedMany = Callable[[Sequence[Success]], Collection[UUID]]

#: As many go into one statement.
_MOST_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A job that has run well, and what is to be told once that is committed."""

    success: Success
    #: Called with True when the job was still ours, with False when it was taken over.
    committed: Callable[[bool], None]
    #: Called when Postgres refuses to store this very success.
    refused: Callable[[Exception], None]


class Completer:
    """Writes what is handed over, in the order in which it came, until it is stopped.

    `succeed_many` writes successes in a transaction and returns the ids of those that were held.
    """

    def __init__(self, succeed_many: SucceedMany, patience: PostgresRetry) -> None:
        self._succeed_many = succeed_many
        self._patiently = patience
        self._changed = threading.Condition()
        self._gathered: list[Completion] = []
        self._writing = False
        self._thread = threading.Thread(target=self._run, name="finisher", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def thread(self) -> threading.Thread:
        """Return the thread without which nothing is written."""
        return self._thread

    def hand_over(self, finish: Completion) -> None:
        """Have the job finished soon; returns at once."""
        with self._changed:
            self._gathered.append(finish)
            if not self._writing:
                self._changed.notify()

    def wait_until_written(self, seconds: float) -> bool:
        """Wait until nothing is left to be written; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._gathered and not self._writing, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._gathered))
                finishes, self._gathered = self._gathered[:_MOST_AT_ONCE], self._gathered[_MOST_AT_ONCE:]
                self._writing = True
            try:
                self._write(finishes)
            except StoppingError:
                log.warning("finishes_not_written", jobs=len(finishes), consequence="they are run again elsewhere")
            except Exception:
                log.exception("unexpected_error", consequence="these jobs are taken over when their leases end")

    def _write(self, finishes: Sequence[Completion]) -> None:
        try:
            held = self._patiently(lambda: self._succeed_many([finish.success for finish in finishes]))
        except StoppingError:
            raise
        except Exception as error:  # noqa: BLE001 - one that cannot be stored must not keep the others from it
            if len(finishes) == 1:
                finishes[0].refused(error)
                return
            for finish in finishes:
                self._write([finish])
            return
        for finish in finishes:
            finish.committed(finish.success.claim.id in held)
