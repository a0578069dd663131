"""Acknowledged in order: what follows a batch of messages happens only when all of them, and all before, are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

Then = Callable[[], Awaitable[None]]


DEPTH = 16  # posts under way; the producer itself takes one open batch per partition and lets `send` wait for room


class Outbox:
    """Messages of one handler. An error of any of them comes out of the next `post` or `drain`, and nothing follows it."""

    def __init__(self, producer: AIOKafkaProducer, depth: int = DEPTH) -> None:
        self.producer = producer
        self.under_way = 0  # posts that are not acknowledged
        self._room = asyncio.Semaphore(depth)
        self._last: asyncio.Task[None] | None = None

    async def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> asyncio.Future[Any]:
        """Hands one message to the producer; the future is its acknowledgement."""
        acknowledgement: asyncio.Future[Any] = await self.producer.send(
            topic, value, key=key, partition=partition, headers=list(headers)
        )
        return acknowledgement

    async def post(self, messages: Sequence[asyncio.Future[Any]], then: Then | None = None) -> None:
        """Runs `then` once these messages and all earlier ones are acknowledged; waits while too many are under way."""
        if self._last is not None and self._last.done():
            self._last.result()
        await self._room.acquire()
        self.under_way += 1
        self._last = asyncio.create_task(self._follow(self._last, messages, then))

    async def drain(self) -> None:
        """Waits until everything posted is done."""
        if self._last is not None:
            await self._last

    async def _follow(self, before: asyncio.Task[None] | None, messages: Sequence[asyncio.Future[Any]], then: Then | None) -> None:
        try:
            if before is not None:
                await before
            await asyncio.gather(*messages)
            if then is not None:
                await then()
        finally:
            self.under_way -= 1
            self._room.release()
