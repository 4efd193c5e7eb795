"""gunicorn's worker: one loop receives requests and sends answers, and only a whole request takes a thread.

gunicorn's own `gthread` worker reads a request in the thread that answers it: a few clients that send slowly, or read
no answer, hold every thread. Here they hold a connection, within terms (`connection.Terms`), and no thread. Of gunicorn
stay the master with its signals, the parser and the response.
"""

import io
import resource
import selectors
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import structlog
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from api.serving.connection import Connection, Terms
from api.serving.refusals import BUG, NO_ROOM, TOO_SLOW, Refusal, refusal_of
from api.serving.tally import Tally
from api.serving.threads import Threads
from moneyflow.platform.telemetry.health_server import HealthServer

log = structlog.get_logger(__name__)

#: Seconds between two looks at the deadlines.
_LOOK_SECONDS = 0.5
#: Seconds after an accepted connection in which the process accepts no other, and another process does: a connection
#: that is kept stays with its process, and one that took a whole crowd would leave the others idle.
_ACCEPT_PAUSE_SECONDS = 0.001
#: Seconds that a stopping process waits for a request that a client may be sending on a kept connection.
_STOP_IDLE_SECONDS = 2.0
#: File descriptors for all but the clients: the database, Redis, logs, health.
_OTHER_FILES = 256
#: Seconds without an end of any request, while some wait for a thread, after which the process counts as stuck; longer
#: than any statement may take.
_STUCK_SECONDS = 60.0
#: Seconds in which the loop has turned many times.
_TURN_SECONDS = 10.0


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """A process of the API: receives whole requests, answers them in threads, sends the answers."""

    #: `api/server.py` sets those of the process, with the folder of uploads.
    terms: Terms = Terms()
    #: Bytes of all requests and answers that are kept. Above them a request larger than its share is refused, and a
    #: connection ends that has not read such an answer.
    most_held_bytes: ClassVar[int] = 64 * 1024 * 1024
    #: Bytes of the disk that uploads take together. Above them an upload is refused.
    most_upload_bytes: ClassVar[int] = 1024 * 1024 * 1024

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The loop alone uses these: all connections; those that wait for their client, with the next step; of those the
        # ones that have sent nothing of a request, the longest idle first.
        self._connections: set[Connection] = set()
        self._watched: dict[Connection, Callable[[Connection], None]] = {}
        # The event for which the poller looks at each connection. PERF: it goes on doing so while a thread answers, as
        # hardly any client sends then; to take the connection from it and give it back costs two system calls.
        self._polled: dict[Connection, int] = {}
        self._idle: dict[Connection, None] = {}
        # Bytes that each connection keeps in memory, and on the disk.
        self._held: Tally[Connection] = Tally()
        self._uploads: Tally[Connection] = Tally()
        self._answering = 0
        #: Set by `api/server.py` once the application is loaded.
        self.health: HealthServer | None = None
        #: `_answered`: the last end of a request, or the later begin of the waiting for a thread.
        self._looked = self._turned = self._answered = time.monotonic()
        self._stopped: float | None = None
        self._accepts_from = 0.0

    def init_process(self) -> None:
        """Raise the limit of open files before anything is opened; then load the application and run."""
        self.worker_connections: int
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if most != resource.RLIM_INFINITY:
            self.worker_connections = min(self.worker_connections, max(most - _OTHER_FILES, 1))
        # PERF: gunicorn looks its settings up by name some twenty times in a request; as attributes they are found.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def get_thread_pool(self) -> Threads[Connection]:
        """Return the threads that answer."""
        return Threads(self.cfg.threads, self._answer)

    def enqueue_req(self, conn: Connection) -> None:
        """Have a thread answer the request of a connection."""
        self.tpool.put(conn)

    def run(self) -> None:
        """Serve until asked to stop; then answer what has come, for as long as gunicorn allows."""
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        while self.alive and self.is_parent_alive():
            is_pausing = time.monotonic() < self._accepts_from
            has_room = bool(self._idle) or len(self._connections) < self.worker_connections
            self.set_accept_enabled(has_room and not is_pausing)
            self._turn(_ACCEPT_PAUSE_SECONDS if is_pausing else _LOOK_SECONDS)
        self.set_accept_enabled(False)
        self._stopped = time.monotonic()
        if self.health:
            self.health.close()  # Before another process asks one that stops.
        while self._connections and time.monotonic() < self._stopped + self.cfg.graceful_timeout:
            self._turn()
        for connection in list(self._watched):
            self._close(connection)
        self.tpool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    def complaint(self) -> str | None:
        """Return why the process makes no progress, or None; for another thread."""
        now = time.monotonic()
        if now > self._turned + _TURN_SECONDS:
            return f"the loop has not turned for {now - self._turned:.0f} seconds"
        if self._answering > self.cfg.threads and now > self._answered + _STUCK_SECONDS:
            return f"no request has ended for {now - self._answered:.0f} seconds, and others wait for a thread"
        return None

    def _turn(self, seconds: float = _LOOK_SECONDS) -> None:
        self._turned = time.monotonic()
        self.wait_for_and_dispatch_events(timeout=seconds)
        if time.monotonic() >= self._looked + _LOOK_SECONDS:
            self._looked = time.monotonic()
            self.notify()  # The master kills a process from which it has heard nothing for a minute.
            self._end_overdue(self._looked)

    def accept(self, listener: Any) -> None:
        """Accept one connection; when there is no room, the longest idle one is closed for it."""
        is_full = len(self._connections) >= self.worker_connections
        if is_full and not self._idle:
            return
        try:
            client, address = listener.accept()
        except OSError:  # Another process was faster, or the client has gone.
            return
        if is_full:
            self._close(next(iter(self._idle)))
        self._accepts_from = time.monotonic() + _ACCEPT_PAUSE_SECONDS
        connection = Connection(self.cfg, client, address, listener.getsockname(), terms=self.terms)
        self._connections.add(connection)
        self._await_request(connection, is_whole=False)

    def _answer(self, connection: Connection) -> None:
        """Answer a request, and leave the connection to the loop; a thread calls it."""
        is_kept, error = False, None
        try:
            is_kept = bool(self.handle(connection))
            connection.sock.release()
        except BaseException as caught:  # noqa: BLE001 - the loop closes the connection, and the thread goes on
            error = caught
        self.method_queue.defer(partial(self._answered_by_thread, connection, is_kept=is_kept, error=error))

    def _answered_by_thread(self, connection: Connection, *, is_kept: bool, error: BaseException | None) -> None:
        """Send the rest of an answer that a thread has made; the loop calls it."""
        self._answering -= 1
        self._answered = time.monotonic()
        if error is not None:
            log.error("connection_failed", error=type(error).__name__)
        self._guarded(connection, partial(self._send, is_kept=is_kept and error is None))

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer a request in a thread. Its body is decoded first: the application sees none that is not valid."""
        req.body = conn.upload() or io.BytesIO(req.body.read())
        req._expected_100_continue = False  # noqa: SLF001 - gunicorn would ask for a body that has come
        conn.sock.hold()
        try:
            return super().handle_request(req, conn)
        finally:
            req.body = io.BytesIO()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that gunicorn refuses. SECURITY: its errors quote what was sent, so they are not logged."""
        del req, addr
        refusal = refusal_of(exc)
        if refusal is BUG:
            where = "".join(traceback.format_tb(exc.__traceback__))
            log.error("request_failed", error=type(exc).__name__, where=where)
        with suppress(OSError):
            client.sendall(refusal.answer())

    def _dispatch(self, connection: Connection, _: object) -> None:
        """Continue with a connection whose client has sent or read something; an error ends this one alone."""
        step = self._watched.get(connection)
        if step is not None:
            self._guarded(connection, step)
        else:  # A thread answers it, or it was closed in this turn.
            self._stop_polling(connection)

    def _guarded(self, connection: Connection, step: Callable[[Connection], None]) -> None:
        try:
            step(connection)
        except OSError:
            self._close(connection)
        except Exception as error:
            log.exception("connection_failed", error=type(error).__name__)
            self._close(connection)

    def _receive(self, connection: Connection) -> None:
        outcome = connection.receive()
        self._count(connection)
        if outcome is False:
            if not connection.is_idle:
                self._idle.pop(connection, None)
                self._refuse_without_room(connection)
            return
        self._unwatch(connection)
        self._take(connection, outcome)

    def _take(self, connection: Connection, outcome: Refusal | bool) -> None:
        if isinstance(outcome, Refusal):
            self._refuse(connection, outcome)
        else:
            self._await_request(connection, is_whole=outcome)

    def _await_request(self, connection: Connection, *, is_whole: bool) -> None:
        if is_whole:
            self._answering += 1
            if self._answering == self.cfg.threads + 1:  # From now on one waits.
                self._answered = time.monotonic()
            self.enqueue_req(connection)
            return
        self._watch(connection, selectors.EVENT_READ, self._receive)
        if connection.is_idle:
            self._idle[connection] = None

    def _refuse_without_room(self, connection: Connection) -> None:
        """Refuse a large request that does not fit into the memory for all, and an upload that does not on the disk."""
        is_above_disk = connection.upload_bytes and self._uploads.total > self.most_upload_bytes
        if is_above_disk or self._is_above_memory(connection):
            self._unwatch(connection)
            self._refuse(connection, NO_ROOM)

    def _is_above_memory(self, connection: Connection) -> bool:
        share = self.most_held_bytes // self.worker_connections
        return self._held.total > self.most_held_bytes and connection.held_bytes > share

    def _count(self, connection: Connection) -> None:
        """Count what a connection keeps, after each change of it."""
        self._held.count(connection, connection.held_bytes)
        self._uploads.count(connection, connection.upload_bytes)

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        with suppress(OSError):
            connection.sock.sendall(refusal.answer())
        self._send(connection, is_kept=False)

    def _send(self, connection: Connection, *, is_kept: bool) -> None:
        self._count(connection)
        if connection.sock.has_unsent and self._is_above_memory(connection):
            log.info("answer_dropped", reason="unread answers take too much memory", bytes=connection.held_bytes)
            self._close(connection)
        elif connection.sock.has_unsent:
            connection.expect_reading()
            self._watch(connection, selectors.EVENT_WRITE, partial(self._send_more, is_kept=is_kept))
        else:
            self._after_answer(connection, is_kept=is_kept)

    def _send_more(self, connection: Connection, *, is_kept: bool) -> None:
        is_sent = connection.send_more()
        self._count(connection)
        if is_sent:
            self._unwatch(connection)
            self._after_answer(connection, is_kept=is_kept)

    def _after_answer(self, connection: Connection, *, is_kept: bool) -> None:
        if is_kept:
            outcome = connection.next_request()
            self._count(connection)
            self._take(connection, outcome)
            return
        try:
            connection.begin_close()
            self._count(connection)
        except OSError:
            self._close(connection)
            return
        self._watch(connection, selectors.EVENT_READ, self._discard)

    def _discard(self, connection: Connection) -> None:
        if connection.discard():
            self._close(connection)

    def _end_overdue(self, now: float) -> None:
        """End the connections whose term is over: with an answer where a part of a request has come."""
        for connection in list(self._watched):
            is_stopping = self._stopped is not None and now > self._stopped + _STOP_IDLE_SECONDS
            if now < connection.deadline and not (is_stopping and connection in self._idle):
                continue
            if self._watched[connection] == self._receive and not connection.is_idle:
                self._unwatch(connection)
                self._refuse(connection, TOO_SLOW)
            else:
                self._close(connection)

    def _watch(self, connection: Connection, event: int, step: Callable[[Connection], None]) -> None:
        polled = self._polled.get(connection)
        if polled is None:
            self.poller.register(connection.sock.raw, event, partial(self._dispatch, connection))
        elif polled != event:
            self.poller.modify(connection.sock.raw, event, partial(self._dispatch, connection))
        self._polled[connection] = event
        self._watched[connection] = step

    def _unwatch(self, connection: Connection) -> None:
        self._watched.pop(connection, None)
        self._idle.pop(connection, None)

    def _stop_polling(self, connection: Connection) -> None:
        if self._polled.pop(connection, None) is not None:
            self.poller.unregister(connection.sock.raw)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        self._stop_polling(connection)
        self._connections.discard(connection)
        connection.end()
        self._count(connection)
