"""A producer for tests of what is sent when."""

from __future__ import annotations

import asyncio


class SilentProducer:
    """Takes messages, acknowledges none by itself."""

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[None]] = []

    async def send(self, topic: str, value: bytes | None, **_: object) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(future)
        return future
