"""Reporter: a thread of a process that reports its health on a timer, its unhandled errors and its warnings.

What fails is not held up: an error is counted in memory, and the thread writes. It writes at most once in five seconds,
however many errors there are, and while Postgres is down it keeps the counts. A process that is killed loses what it
counted in its last seconds; its log has every error.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

import structlog

from moneyflow.platform.database import Database
from moneyflow.platform.events import reports
from moneyflow.platform.events.reports import Report
from moneyflow.platform.events.system import HealthCheck, UnhandledError
from moneyflow.platform.events.warnings import Details, warning
from moneyflow.platform.telemetry.fingerprints import fingerprint_of
from moneyflow.platform.telemetry.health import Check, failures
from moneyflow.platform.telemetry.origin import process_name

log = structlog.get_logger(__name__)

#: Reports an error that no code expects; returns at once, and never raises.
ReportError = Callable[[BaseException], None]


#: Warns of a condition by its code, message, subject and details; returns at once.
class Warn(Protocol):
    def __call__(self, *, code: str, message: str, subject: str, details: Details) -> None: ...


#: Returns a warning while a condition holds; see `warnings.warning`.
Condition = Callable[[], Report | None]

#: Seconds between two transactions of one process, and at most until what others have counted is looked at.
_PAUSE_SECONDS, _LOOK_SECONDS = 5.0, 60.0
#: Seconds after the start until the first health check: a process that restarts sooner sends none.
_FIRST_SECONDS = 60.0
#: Seconds that a stopping process waits for its last reports.
_STOP_SECONDS = 2.0
_OTHER_ERROR = {"fingerprint": reports.OTHER, "error_class": reports.OTHER, "place": ""}


@dataclass(frozen=True, kw_only=True)
class Health:
    """The health checks of a process: those of its health port, and the seconds between two events."""

    alive: Iterable[Check]
    ready: Iterable[Check]
    every_seconds: float
    instance: str = field(default_factory=process_name)


class Reporter:
    """Counts what a process reports, and writes it by a thread of its own. Threads share it."""

    def __init__(
        self, database: Database, *, most: int = reports.MOST_KINDS, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._database = database
        self._most = most
        self._health: Health | None = None
        self._conditions: tuple[Condition, ...] = ()
        self._started = time.monotonic()
        self._look_seconds = look_seconds
        self._looks_at = self._started + look_seconds
        self._checks_at = math.inf
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str | None], Report] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Report the error that ends the process, if one does, and write what is left, for two seconds at most."""
        if isinstance(error, Exception):
            self.error(error)
        self.stop()

    def watch(self, health: Health, *, conditions: Iterable[Condition] = ()) -> None:
        """Check the health on its timer, and each minute report the conditions that hold; call it before the start."""
        self._health, self._conditions = health, tuple(conditions)
        self._checks_at = self._started + min(health.every_seconds, _FIRST_SECONDS)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, for two seconds at most, and end the thread."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_STOP_SECONDS)

    def error(self, error: BaseException) -> None:
        """Report an error that no code expects. SECURITY: without its text."""
        try:
            found = fingerprint_of(error)
        except Exception:
            log.exception("error_not_reported")
            return
        data = {"fingerprint": found.value, "error_class": found.error_class, "place": found.place}
        self._add([Report(type=UnhandledError.type, fingerprint=found.value, data=data, other=_OTHER_ERROR)])
        self._wake.set()

    def warn(self, *, code: str, message: str, subject: str, details: Details) -> None:
        """Report a condition that an operator must look at; see `warnings.warning`."""
        self._add([warning(code=code, message=message, subject=subject, details=details)])
        self._wake.set()

    def write(self) -> None:
        """Write what was reported since the last call; what cannot be written is kept for the next one."""
        with self._lock:
            pending, self._pending = list(self._pending.values()), {}
        try:
            with self._database.transaction() as session:
                reports.write(session, pending, most=self._most)
        except Exception as error:  # noqa: BLE001 - a report is not worth a failure of what it is about
            log.warning("reports_not_written", error=type(error).__name__, reports=len(pending))
            self._add(pending)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._idle_seconds())
            self._wake.clear()
            try:
                self._look()
            except Exception:  # A condition is code of others; the reports must go on.
                log.exception("condition_failed")
            self.write()
            self._stopping.wait(_PAUSE_SECONDS)
        self.write()

    def _look(self) -> None:
        """Check the health and ask the conditions, when their time has come."""
        now = time.monotonic()
        if now >= self._looks_at:
            self._looks_at = now + self._look_seconds
            self._add([report for condition in self._conditions if (report := condition()) is not None])
        if self._health is not None and now >= self._checks_at:
            self._checks_at = now + self._health.every_seconds
            self._add([_checked(self._health, uptime_seconds=int(now - self._started))])

    def _idle_seconds(self) -> float:
        return max(0.0, min(self._looks_at, self._checks_at) - time.monotonic())

    def _add(self, added: Sequence[Report]) -> None:
        """Count reports of one kind together. Memory is bounded: too many kinds are one."""
        with self._lock:
            for report in added:
                key = report.type, report.fingerprint
                if key not in self._pending and len(self._pending) >= self._most:
                    report = report.as_other()  # noqa: PLW2901 - the same report, of another kind
                    key = report.type, report.fingerprint
                before = self._pending.get(key)
                self._pending[key] = replace(report, count=report.count + (before.count if before else 0))


def _checked(health: Health, *, uptime_seconds: int) -> Report:
    """Run the checks and return what they say; their complaints are logged, and not sent."""
    alive, ready = failures(health.alive), failures(health.ready)
    for complaint in (*alive, *ready):
        log.warning("health_check_failed", complaint=complaint)
    data = {
        "instance": health.instance, "alive": not alive, "ready": not ready, "uptime_seconds": uptime_seconds
    }  # fmt: skip
    return Report(type=HealthCheck.type, fingerprint=None, data=data)
