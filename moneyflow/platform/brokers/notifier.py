"""Notifier: after a commit, wakes the relay and puts the ids of ready jobs on the ready list, by way of Redis.

Best effort: the relay finds by polling what a notification does not reach. Postgres's NOTIFY would do the same, but
takes one lock for all committing transactions; `ops/dev/bench/wake.py` measures the two side by side.
"""

import threading
import time
from collections.abc import Collection, Sequence
from operator import itemgetter
from uuid import UUID

import redis
import structlog

from moneyflow.platform.brokers.ready_list import KEPT_MILLISECONDS
from moneyflow.platform.brokers.redis import ThreadsOwnRedis, channel, connect, ready_list
from moneyflow.platform.settings import NotifierSettings

log = structlog.get_logger(__name__)

#: Seconds without a notification after one that failed: while Redis is down, commits do not wait for it.
_SILENT_SECONDS = 5.0
#: Seconds that a commit waits for Redis at most.
_TIMEOUT_SECONDS = 0.5
#: Ready jobs of one commit at most; more of them go to the relay, which publishes in batches.
_MOST_OF_ONE_COMMIT = 64
#: Seconds between two notifications of events that are gathered.
_GATHER_SECONDS = 0.005
#: Ids that the ready list keeps for each priority, the newest.
_MOST_KEPT = 256
#: One round trip. KEYS: a list for each priority; ARGV: channel, notification, ids kept, milliseconds kept, then for
#: each list its ids.
_NOTIFY = """
redis.call('PUBLISH', ARGV[1], ARGV[2])
for number, list in ipairs(KEYS) do
  for id in string.gmatch(ARGV[4 + number], '%S+') do redis.call('RPUSH', list, id) end
  redis.call('LTRIM', list, -tonumber(ARGV[3]), -1)
  redis.call('PEXPIRE', list, ARGV[4])
end
"""


class Notifier:
    """Sends notifications. After a failure it logs a warning and sends none for five seconds.

    With `gather_events` a thread sends those of commits that made no more than events, one for all of five
    milliseconds: for a process with many commits, which is not at its end after one.
    """

    def __init__(
        self, settings: NotifierSettings, *, kept_milliseconds: int = KEPT_MILLISECONDS, gather_events: bool = False
    ) -> None:
        self._kept_milliseconds = kept_milliseconds
        self._settings = settings
        self._channel = channel(settings)
        self._own = ThreadsOwnRedis(settings, timeout_seconds=_TIMEOUT_SECONDS)
        # By a client that has not connected: a process starts while Redis is down.
        self._script = connect(settings).register_script(_NOTIFY)
        self._silent_until = 0.0
        self._gather_events = gather_events
        self._has_events = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, notifications: Collection[str], ready: Sequence[tuple[int, UUID]]) -> None:
        """Notify the relay, and idle workers of the jobs that are `ready`, each with its priority; never raises."""
        if self._gather_events and not ready and set(notifications) == {"events"}:
            self._send_soon()
        else:
            self._send(notifications, ready)

    def _send_soon(self) -> None:
        if self._has_events.is_set():
            return
        self._has_events.set()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_gathered, name="notifier", daemon=True)
                self._thread.start()

    def _send_gathered(self) -> None:
        while self._has_events.wait():
            self._has_events.clear()  # Before it is sent: a commit that comes after it is in the next one.
            self._send(["events"], ())
            time.sleep(_GATHER_SECONDS)

    def _send(self, notifications: Collection[str], ready: Sequence[tuple[int, UUID]]) -> None:
        now = time.monotonic()
        if now < self._silent_until:
            return
        try:
            if len(ready) > _MOST_OF_ONE_COMMIT:
                self._own.client.publish(self._channel, " ".join({*notifications, "jobs"}))
            elif ready:
                self._publish_with(ready, " ".join(notifications))
            else:
                self._own.client.publish(self._channel, " ".join(notifications))
        except redis.RedisError as error:
            log.warning(
                "notification_failed",
                server=self._settings.redis_address,
                error=str(error),
                consequence="the relay finds work by polling",
            )
            self._silent_until = now + _SILENT_SECONDS

    def check(self) -> str | None:
        """Health check: return None, or raise when Redis does not answer."""
        self._own.client.ping()
        return None

    def _publish_with(self, ready: Sequence[tuple[int, UUID]], notification: str) -> None:
        ids: dict[str, list[str]] = {}
        # The highest priority first: a worker that waits gets the first list that has an id.
        for priority, job_id in sorted(ready, key=itemgetter(0), reverse=True):
            ids.setdefault(ready_list(self._settings, priority), []).append(str(job_id))
        each = [" ".join(of_list) for of_list in ids.values()]
        arguments: list[str | int] = [self._channel, notification, _MOST_KEPT, self._kept_milliseconds, *each]
        self._script(keys=list(ids), args=arguments, client=self._own.client)
