"""The process behind a `TcpProxy`: takes its orders from standard input, a JSON object a line, and answers each with its counts.

Never more than `WINDOW` pieces of `PIECE_BYTES` wait inside for one direction of one connection: a side that does not read makes
the other wait, as TCP does. Only the standard library is imported, so it starts at once.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from typing import IO, Literal, TypedDict

Mode = Literal["pass", "cut", "cut_up", "cut_down", "reset"]

PIECE_BYTES = 256 * 1024
WINDOW = 16
_BACKLOG = 128
_SMOOTH_S = 0.05  # a limited rate is kept over this time, not over a whole piece
_RST_ON_CLOSE, _FIN_ON_CLOSE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


class Counts(TypedDict):
    """What a proxy has seen: connections now and ever, bytes handed to the target (up) and to clients (down)."""

    connections: int
    accepted: int
    up: int
    down: int


class Relay:
    """Carries connections from one port to another, by the present mode."""

    def __init__(self, target: int, port: int) -> None:
        self.target = target
        self.port = port
        self._up, self._down = _Way(), _Way()
        self._accepted = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._acceptor: asyncio.Task[None] | None = None

    async def run(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        """Obeys until there are no more orders, as when the owner has ended."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), orders)
        while line := await reader.readline():
            if order := json.loads(line):
                await self._enter(**order)
            answers.write(json.dumps(self._counts()).encode() + b"\n")
            answers.flush()
        await self._reset()

    def _counts(self) -> Counts:
        return Counts(connections=len(self._connections), accepted=self._accepted, up=self._up.bytes, down=self._down.bytes)

    async def _enter(self, mode: Mode, delay_s: float, rate: float | None) -> None:
        for way in (self._up, self._down):
            way.delay_s, way.rate = delay_s, rate
        self._up.let(mode in {"pass", "cut_down"})
        self._down.let(mode in {"pass", "cut_up"})
        if mode == "reset":
            await self._reset()
        elif self._acceptor is None:
            self._acceptor = asyncio.create_task(self._accept(_listener(self.port)))

    async def _reset(self) -> None:
        tasks = [*self._connections, *([self._acceptor] if self._acceptor else [])]
        self._acceptor = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                await self._both_open()
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
                self._accepted += 1
                task = asyncio.create_task(self._serve(client))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _both_open(self) -> None:
        while not (self._up.open.is_set() and self._down.open.is_set()):
            await self._up.open.wait()
            await self._down.open.wait()

    async def _serve(self, client: socket.socket) -> None:
        """Ends by FIN when both ways have ended. A broken end breaks the other one, but no RST comes through a cut either."""
        with socket.socket() as target, client:
            for side in (client, target):
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            try:
                await self._both_open()
                await asyncio.get_running_loop().sock_connect(target, ("127.0.0.1", self.target))
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._up.carry(client, target))
                    ways.create_task(self._down.carry(target, client))
            except* OSError:
                await self._both_open()
            else:
                for side in (client, target):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FIN_ON_CLOSE)


class _Way:
    """One direction of all connections."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.bytes = 0
        self.delay_s = 0.0
        self.rate: float | None = None
        self._free_at = 0.0

    def let(self, open_: bool) -> None:
        """Bytes may go, or not."""
        if open_:
            self.open.set()
        else:
            self.open.clear()

    async def carry(self, source: socket.socket, sink: socket.socket) -> None:
        """All that comes from one side is at the other, its end of file last."""
        travelling: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take(source, travelling))
            ends.create_task(self._give(sink, travelling))

    async def _take(self, source: socket.socket, travelling: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            await self.open.wait()
            data = await loop.sock_recv(source, PIECE_BYTES)
            await travelling.put((time.monotonic() + self.delay_s, data))

    async def _give(self, sink: socket.socket, travelling: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            due, data = await travelling.get()
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            if not data:
                await self.open.wait()
                sink.shutdown(socket.SHUT_WR)
                return
            await self._send(sink, memoryview(data))

    async def _send(self, sink: socket.socket, data: memoryview) -> None:
        while data:
            most = PIECE_BYTES if self.rate is None else int(self.rate * _SMOOTH_S) + 1
            await self.open.wait()
            try:
                sent = sink.send(data[:most])
            except BlockingIOError:
                await _writable(sink)
                continue
            self.bytes += sent
            data = data[sent:]
            await self._pace(sent)

    async def _pace(self, sent: int) -> None:
        if self.rate is None:
            return
        self._free_at = max(self._free_at, time.monotonic()) + sent / self.rate
        await asyncio.sleep(self._free_at - time.monotonic())


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


async def _writable(sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sink, ready.set_result, None)
    try:
        await ready
    finally:
        loop.remove_writer(sink)


async def _main() -> None:
    target, port = (int(given) for given in sys.argv[1:])
    await Relay(target, port).run(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    asyncio.run(_main())
