"""HTTP server of a health port: one event loop for all connections, and few threads for the answers.

SECURITY: the port is for orchestrators and Prometheus, but no client that reaches it may exhaust the process. A
connection holds no thread before its request has come whole, and is cut off when that takes long.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

#: Seconds that a client has to send its request, and to read its answer.
SECONDS = 5.0
#: Answers to one path that are made at a time; a check that hangs delays no other path.
THREADS_PER_PATH = 2
#: Connections at a time; for a further one the oldest that has sent no request yet is cut off.
MOST_CONNECTIONS = 256
_LONGEST_REQUEST_BYTES = 8192


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    body: bytes
    content_type: str

    def encoded(self) -> bytes:
        """Return the bytes of the answer; it is the only one on its connection."""
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + self.body


class HealthServer:
    """Answers GET requests on the paths of `routes`, each by its function, until it is closed or the process ends.

    `host` may be a name or an address of version 4 or 6; on `::` it takes connections of both versions. With
    `shares_port` other processes of this user may listen on the port too, and the kernel chooses one for a connection.

    Raises:
        OSError: another program listens on the port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Callable[[], Answer]],
        *,
        seconds: float = SECONDS,
        shares_port: bool = False,
    ) -> None:
        self._routes = routes
        self._seconds = seconds
        self._socket = _listening(host, port, shares_port=shares_port)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._places = {path: asyncio.Semaphore(THREADS_PER_PATH) for path in routes}
        #: The connections that have sent no whole request yet, the oldest first.
        self._asking: dict[asyncio.Task[None], None] = {}
        self._connections = 0
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the port and all connections; safe to repeat."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._socket, limit=_LONGEST_REQUEST_BYTES)
        await self._stopping.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        if self._connections >= MOST_CONNECTIONS and self._asking:
            next(iter(self._asking)).cancel()
        self._connections += 1
        self._asking[task] = None
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self._seconds)
            del self._asking[task]
            writer.write((await self._answer(head)).encoded())
            await asyncio.wait_for(writer.drain(), self._seconds)
        except (TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            writer.transport.abort()
        finally:
            self._asking.pop(task, None)
            self._connections -= 1
            writer.close()

    async def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if path not in self._routes:
            return Answer(404, b"{}", "application/json")
        if method != "GET":
            return Answer(405, b"{}", "application/json")
        async with self._places[path]:
            return await self._in_thread(self._routes[path])

    async def _in_thread(self, make: Callable[[], Answer]) -> Answer:
        """Make an answer in a daemon thread, which a process that ends need not wait for."""
        made: asyncio.Future[Answer] = self._loop.create_future()

        def settle(answer: Answer) -> None:
            if not made.done():  # The client may have gone meanwhile.
                made.set_result(answer)

        def run() -> None:
            try:
                answer = make()
            except Exception:  # noqa: BLE001 - such as a metric that fails to collect: the client gets a status
                answer = Answer(500, b"{}", "application/json")
            with suppress(RuntimeError):  # The loop was closed meanwhile.
                self._loop.call_soon_threadsafe(settle, answer)

        threading.Thread(target=run, name="health answer", daemon=True).start()
        return await made


def _listening(host: str, port: int, *, shares_port: bool) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]  # fmt: skip
    opened = socket.socket(family, kind)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind(address)
        opened.listen(MOST_CONNECTIONS)
    except BaseException:
        opened.close()
        raise
    return opened
