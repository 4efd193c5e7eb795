"""A TCP proxy of our own between a process and a server: it cuts connections, stalls them, or cuts in mid-message."""

import asyncio
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 16 * 1024


class Proxies:
    """The loop in which proxies run, on a thread of its own, until `close` or the end of the block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every proxy and the loop."""
        for proxy in self._proxies:
            proxy.close()
        asyncio.run_coroutine_threadsafe(_end_tasks(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def to(self, target: Callable[[], int], *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> "Proxy":
        """Listen on an address of this machine, with TLS if given, and pass on to the port that `target` returns."""
        proxy = Proxy(self._loop, target, host=host, tls=tls)
        asyncio.run_coroutine_threadsafe(proxy.listen(), self._loop).result(10)
        self._proxies.append(proxy)
        return proxy


class Proxy:
    """One listening port; every method may be called from any thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        target: Callable[[], int],
        *,
        host: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = 0
        self._host = host
        self._loop = loop
        self._target = target
        self._tls = tls
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        self._held = 0
        self._bytes_left: int | None = None
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Begin to take connections."""
        self._server = await asyncio.start_server(self._connected, self._host, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Take no connection any more, and cut those that are there."""
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()

    def connections(self) -> int:
        """Return how many connections go through."""
        return len(self._pairs)

    def held(self) -> int:
        """Return how many of its connections have sent something that waits here until `flow`."""
        return self._held

    def cut(self) -> None:
        """Reset every connection, as a cable that is pulled and a firewall that answers do."""
        self._loop.call_soon_threadsafe(self._cut_now)

    def stall(self) -> None:
        """Pass nothing on, and close nothing, until `flow`."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass on what has waited and all that comes, and forget a cut that was announced."""
        self._loop.call_soon_threadsafe(self._flow_now)

    def cut_after(self, count: int) -> None:
        """Let `count` more bytes pass, in whatever direction, and then cut all connections: often in mid-message."""
        self._loop.call_soon_threadsafe(self._announce, count)

    def lose(self, *, part: float, dice: random.Random) -> None:
        """Swallow, without a word, whatever comes by some of the connections, until `cut_lost`."""
        self._loop.call_soon_threadsafe(self._lose_now, part, dice)

    def cut_lost(self) -> None:
        """Reset the connections that are lost."""
        self._loop.call_soon_threadsafe(self._cut_lost_now)

    def _lose_now(self, part: float, dice: random.Random) -> None:
        for pair in self._pairs:
            if dice.random() < part:
                self._lost |= set(pair)

    def _cut_lost_now(self) -> None:
        for writer in self._lost:
            _reset(writer)
        self._lost.clear()

    def _flow_now(self) -> None:
        self._bytes_left = None
        self._flowing.set()

    def _announce(self, count: int) -> None:
        self._bytes_left = count

    def _cut_now(self) -> None:
        self._bytes_left = None
        for pair in self._pairs:
            for writer in pair:
                _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # It ends; asyncio would log the task as one that failed.
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            _reset(writer)
            return
        pair = (writer, back)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._pairs.remove(pair)
            self._lost.difference_update(pair)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                self._held += 1
                try:
                    await self._flowing.wait()
                finally:
                    self._held -= 1
                if writer not in self._lost:
                    await self._pass_on(data, writer)
        except OSError:
            _reset(writer)
        finally:
            writer.close()  # What is written is sent before.

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._bytes_left is not None and len(data) >= self._bytes_left:
            writer.write(data[: self._bytes_left])
            await writer.drain()
            self._cut_now()
            return
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
        writer.write(data)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, and not as if its other side had closed it."""
    connection = writer.get_extra_info("socket")
    if connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
