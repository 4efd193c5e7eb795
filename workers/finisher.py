"""Finishes of jobs that touched no table, many in one commit.

Such a job has nothing to commit but its end, and a commit waits for the disk. The first thread to come writes what has
gathered while the one before it waited; the others find themselves served.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from moneyflow.errors import FenceLostError
from moneyflow.ledger.finish import Success

SucceedMany = Callable[[Sequence[Success]], Collection[UUID]]


@dataclass(eq=False)
class _Entry:
    success: Success
    is_settled: bool = False
    is_held: bool = False
    error: Exception | None = None


class Finisher:
    """Gathers the finishes of one process; `succeed_many` writes them in a transaction and returns what was held."""

    def __init__(self, succeed_many: SucceedMany) -> None:
        self._succeed_many = succeed_many
        self._gathering = threading.Lock()
        self._writing = threading.Lock()
        self._gathered: list[_Entry] = []

    def succeed(self, success: Success) -> None:
        """Finish one job and return when that is committed.

        Raises:
            FenceLostError: the job was taken over.
            psycopg.Error, PostgresDownError: it is not known to be committed; the same call may be repeated.
        """
        entry = _Entry(success)
        with self._gathering:
            self._gathered.append(entry)
        with self._writing:
            if not entry.is_settled:
                self._write()
        if entry.error is not None:
            raise entry.error
        if not entry.is_held:
            claim = success.claim
            raise FenceLostError(f"job {claim.id} was taken over from fence {claim.fence}, or is finished already")

    def _write(self) -> None:
        with self._gathering:
            entries, self._gathered = self._gathered, []
        try:
            held = self._succeed_many([entry.success for entry in entries])
        except Exception as error:  # noqa: BLE001 - each thread raises it for its own job
            for entry in entries:
                entry.error = error
        else:
            for entry in entries:
                entry.is_held = entry.success.claim.id in held
        for entry in entries:
            entry.is_settled = True
