"""Log lines of jobs that ended well: one for those of a moment, for a line takes long beside a small job."""

import threading
import time
from collections import deque
from contextlib import suppress

import structlog

from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.telemetry.logs import in_lines

log = structlog.get_logger(__name__)

#: A line waits for so long for others.
_GATHER_SECONDS = 0.02


class EndLog:
    """Gathers successes from all threads and logs them, by a thread of its own."""

    def __init__(self) -> None:
        self._untold: deque[tuple[Claim, float | None]] = deque()
        self._is_some = threading.Event()
        self._telling = threading.Lock()

    def start(self) -> None:
        """Begin to log."""
        threading.Thread(target=self._run, name="end log", daemon=True).start()

    def succeeded(self, claim: Claim, seconds: float | None = None) -> None:
        """Have it logged soon, with how long the job took when that is known; returns at once."""
        self._untold.append((claim, seconds))
        if not self._is_some.is_set():
            self._is_some.set()

    def tell(self) -> None:
        """Log what has gathered."""
        with self._telling:
            self._is_some.clear()
            ended = [self._untold.popleft() for _ in range(len(self._untold))]
        if len(ended) == 1:
            ((claim, seconds),) = ended
            took = {} if seconds is None else {"seconds": round(seconds, 4)}
            log.info("job_ended", outcome="succeeded", **took, **fields_of(claim))
            return
        for part in in_lines(ended):
            origins = {claim.correlation_id: None for claim, _ in part if claim.correlation_id}
            log.info(
                "jobs_ended",
                outcome="succeeded",
                count=len(part),
                job_ids=[claim.id for claim, _ in part],
                correlation_ids=list(origins),
            )

    def _run(self) -> None:
        while True:
            self._is_some.wait()
            time.sleep(_GATHER_SECONDS)
            with suppress(OSError):  # Nobody reads the log any more.
                self.tell()


def fields_of(claim: Claim) -> dict[str, object]:
    """Return what a log line says by itself in the thread that runs the job."""
    return {
        "job_id": str(claim.id),
        "job": claim.kind,
        "attempt": claim.attempt,
        "correlation_id": claim.correlation_id,
    }
