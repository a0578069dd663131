"""The producers of the fault suite: every record reaches its partition, in order and at the pace asked for, whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError

from agents.settings import Settings
from tests.faults.talk import Due

LARGEST = 16 * 1024 * 1024
REQUEST_MS = 4_000  # then it is sent again: a record may come twice, as from any producer
GUST_MS = 1_000
AHEAD = 4  # gusts that are there when the first worker looks
TRICKLE_S = 0.5


class Feeder:
    """Sends a stream over `seconds`, gust by gust. `ends` is the offset behind the last acknowledged record of each partition."""

    def __init__(self, settings: Settings, stream: Sequence[Due]) -> None:
        self.settings, self.stream = settings, stream
        self.ends: Counter[int] = Counter()
        self.share = 0.0  # of the stream that is sent
        self.repeated = 0  # gusts sent again

    async def run(self, seconds: float, ready: asyncio.Event | None = None) -> None:
        """Returns when everything is acknowledged. Until `ready` it only trickles: enough that no source counts as idle.

        A source that was idle holds nobody back, and at this pace the others would be minutes ahead before it is heard again.
        """
        gusts = [list(group) for _, group in groupby(self.stream, key=lambda one: one.at_ms // GUST_MS)]
        due, sent = time.monotonic(), 0
        producer = await self._producer()
        try:
            for number, messages in enumerate(gusts):
                if number >= AHEAD:
                    trickles = ready is not None and not ready.is_set()
                    due = time.monotonic() + TRICKLE_S if trickles else due + seconds / len(gusts)
                await asyncio.sleep(max(due - time.monotonic(), 0.0))
                producer = await self._gust(producer, messages)
                sent += len(messages)
                self.share = sent / len(self.stream)
        finally:
            await _close(producer)

    async def _gust(self, producer: AIOKafkaProducer, messages: Sequence[Due]) -> AIOKafkaProducer:
        while True:
            try:
                sent = [await self._send(producer, one) for one in messages]
                for done in await asyncio.gather(*sent):
                    self.ends[done.partition] = max(self.ends[done.partition], done.offset + 1)
                return producer
            except KafkaError as error:
                if isinstance(error, InvalidTimestampError | MessageSizeTooLargeError):
                    raise
                self.repeated += 1
                await _close(producer)
                producer = await self._producer()

    async def _send(self, producer: AIOKafkaProducer, one: Due) -> asyncio.Future[Any]:
        message = one.message
        future: asyncio.Future[Any] = await producer.send(
            self.settings.topics.raw,
            message.value,
            key=message.key,
            partition=message.partition,
            timestamp_ms=message.timestamp_ms,
        )
        return future

    async def _producer(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                **self.settings.kafka_options(), acks="all", linger_ms=2, max_request_size=LARGEST, request_timeout_ms=REQUEST_MS
            )
            try:
                await producer.start()
                return producer
            except (KafkaError, OSError):
                await _close(producer)
                await asyncio.sleep(0.1)


async def _close(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, asyncio.TimeoutError):
        await asyncio.wait_for(producer.stop(), 5)
