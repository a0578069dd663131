"""The proxy does to connections what its modes say."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.tcp_proxy import TcpProxy
from tests.tcp_relay import Mode

_SILENCE_S = 0.2  # how long nothing must come before we believe that nothing comes
_SOON_S = 20.0
_MUCH = 64 * 1024 * 1024  # more than all buffers between two ends hold


class Target:
    """A server whose connections the test holds in its hands."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])

    async def accept(self) -> tuple[StreamReader, StreamWriter]:
        """The next connection."""
        accepted, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(self._listener), _SOON_S)
        return await asyncio.open_connection(sock=accepted)

    def close(self) -> None:
        """Nobody listens."""
        self._listener.close()


class Pair:
    """Both ends of one connection through the proxy."""

    def __init__(self, near: tuple[StreamReader, StreamWriter], far: tuple[StreamReader, StreamWriter]) -> None:
        self.reader, self.writer = near
        self.far_reader, self.far_writer = far

    def close(self) -> None:
        """Both ends are gone."""
        for writer in (self.writer, self.far_writer):
            writer.transport.abort()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


@pytest.fixture
def proxy(target: Target) -> Iterator[TcpProxy]:
    with TcpProxy(target.port) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: TcpProxy, target: Target) -> AsyncIterator[Pair]:
    near = await asyncio.open_connection("127.0.0.1", proxy.port)
    pair = Pair(near, await target.accept())
    try:
        yield pair
    finally:
        pair.close()


async def silent(reader: StreamReader) -> bool:
    """Neither bytes nor an end come."""
    try:
        await asyncio.wait_for(reader.read(1), _SILENCE_S)
    except TimeoutError:
        return True
    return False


async def arrives(reader: StreamReader, expected: bytes) -> bool:
    return await asyncio.wait_for(reader.readexactly(len(expected)), _SOON_S) == expected


async def test_bytes_and_ends_of_file_pass_both_ways_and_are_counted(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        pair.writer.write(b"question")
        pair.writer.write_eof()
        assert await asyncio.wait_for(pair.far_reader.read(), _SOON_S) == b"question"
        assert proxy.counts()["connections"] == 1
        pair.far_writer.write(b"yes")
        pair.far_writer.write_eof()
        assert await asyncio.wait_for(pair.reader.read(), _SOON_S) == b"yes"
    async with asyncio.timeout(_SOON_S):
        while proxy.counts()["connections"]:
            await asyncio.sleep(0.01)
    assert proxy.counts() == {"connections": 0, "accepted": 1, "up": 8, "down": 3}


async def test_nothing_comes_through_a_cut_and_all_that_waited_comes_after_it(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("cut")
        pair.writer.write(b"up")
        pair.writer.write_eof()
        pair.far_writer.write(b"down")
        assert await silent(pair.far_reader)
        assert await silent(pair.reader)
        proxy.set("pass")
        assert await asyncio.wait_for(pair.far_reader.read(), _SOON_S) == b"up"
        assert await arrives(pair.reader, b"down")


@pytest.mark.parametrize("mode", ["cut_up", "cut_down"])
async def test_a_cut_of_one_way_leaves_the_other_way_open(proxy: TcpProxy, target: Target, mode: Mode) -> None:
    async with connected(proxy, target) as pair:
        proxy.set(mode)
        pair.writer.write(b"up")
        pair.far_writer.write(b"down")
        ends = [(pair.far_reader, b"up"), (pair.reader, b"down")]
        (cut, waiting), (open_, sent) = ends if mode == "cut_up" else reversed(ends)
        assert await arrives(open_, sent)
        assert await silent(cut)
        proxy.set("pass")
        assert await arrives(cut, waiting)


async def test_the_death_of_one_end_is_not_seen_through_a_cut(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("cut_down")
        far = pair.far_writer.get_extra_info("socket")
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.far_writer.transport.abort()
        pair.writer.write(b"is anybody there?")
        assert await silent(pair.reader)
        proxy.set("pass")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(pair.reader.read(), _SOON_S)


@pytest.mark.parametrize("mode", ["cut", "cut_up", "cut_down"])
async def test_a_new_connection_waits_for_the_end_of_a_cut(proxy: TcpProxy, target: Target, mode: Mode) -> None:
    proxy.set(mode)
    async with asyncio.timeout(_SOON_S):
        near = await asyncio.open_connection("127.0.0.1", proxy.port)
        near[1].write(b"hello")
        assert await silent(near[0])
        assert proxy.counts()["up"] == 0
        proxy.set("pass")
        pair = Pair(near, await target.accept())
        assert await arrives(pair.far_reader, b"hello")
        pair.close()


async def test_a_reset_breaks_both_ends_and_refuses_new_connections(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("reset")
        for reader in (pair.reader, pair.far_reader):
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), _SOON_S)
        assert proxy.counts()["connections"] == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.set("pass")
    async with connected(proxy, target) as pair:
        pair.writer.write(b"again")
        assert await arrives(pair.far_reader, b"again")


async def test_a_reset_ends_a_connection_that_waits_for_the_end_of_a_cut(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("cut")
        proxy.set("reset")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(pair.reader.read(), _SOON_S)


async def test_who_connects_to_a_dead_target_is_thrown_out(proxy: TcpProxy, target: Target) -> None:
    target.close()
    with socket.socket() as client:  # it may be thrown out before it knows that it is connected
        client.setblocking(False)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", proxy.port))
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1), _SOON_S)


async def test_who_does_not_read_makes_the_other_end_wait(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        pair.writer.write(bytes(_MUCH))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pair.writer.drain(), 1.0)
        assert proxy.counts()["up"] < _MUCH
        assert len(await asyncio.wait_for(pair.far_reader.readexactly(_MUCH), _SOON_S)) == _MUCH
        assert proxy.counts()["up"] == _MUCH


async def test_a_delay_holds_up_each_way(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("pass", delay_s=0.2)
        start = time.monotonic()
        pair.writer.write(b"there")
        assert await arrives(pair.far_reader, b"there")
        pair.far_writer.write(b"and back")
        assert await arrives(pair.reader, b"and back")
        assert time.monotonic() - start >= 0.4


async def test_a_rate_is_not_exceeded(proxy: TcpProxy, target: Target) -> None:
    async with connected(proxy, target) as pair:
        proxy.set("pass", rate=1_000_000)
        start = time.monotonic()
        pair.writer.write(bytes(500_000))
        assert await arrives(pair.far_reader, bytes(500_000))
        assert time.monotonic() - start >= 0.4


def test_a_rate_of_nothing_is_refused(proxy: TcpProxy) -> None:
    with pytest.raises(ValueError, match="there is cut"):
        proxy.set("pass", rate=0)
