"""Puts the feed on the raw topic: history as fast as the broker takes it, then live as time passes, without a hole between."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import deque

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from agents.feed import Feed, FeedRecord
from agents.settings import Settings
from schemas.events import MAX_EVENT_BYTES

BATCH_BYTES = 256 * 1024
MAX_REQUEST_BYTES = MAX_EVENT_BYTES + 512 * 1024  # a record that is too large for drumbeat must still reach the topic
BATCHES_IN_FLIGHT = 16
HISTORY_STEP_MS, LIVE_STEP_MS = 1_000, 100


def now_ms() -> int:
    """The wall clock, UTC epoch ms."""
    return time.time_ns() // 1_000_000


class Feeder:
    """`run` feeds from `history_ms` ago until `stop` is set; all that the plan counts is then acknowledged by the broker."""

    def __init__(self, settings: Settings, feed: Feed, partitions: int, history_ms: int) -> None:
        self._settings, self._feed, self._partitions = settings, feed, partitions
        self._started_ms = now_ms()
        self._cursor_ms = self._started_ms - history_ms
        self._span_ms = history_ms
        self._open: dict[int, BatchBuilder] = {}
        self._in_flight: deque[asyncio.Future[object]] = deque()
        self._producer: AIOKafkaProducer | None = None
        self.live = asyncio.Event()  # the history is through: the next record is of now
        self.newest_ms = 0  # timestamp of the newest record

    @property
    def progress(self) -> float:
        """Share of the history that is through, 0..1."""
        return min(1.0, 1 - (now_ms() - self._cursor_ms) / (now_ms() - self._started_ms + self._span_ms))

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until `stop`; raises what the broker says."""
        options = {"acks": "all", "linger_ms": 0, "max_batch_size": MAX_REQUEST_BYTES, "max_request_size": MAX_REQUEST_BYTES}
        producer = AIOKafkaProducer(**self._settings.kafka_options(), **options)
        await producer.start()
        self._producer = producer
        try:
            while not stop.is_set():
                await self._catch_up(stop)
                self.live.set()
                await asyncio.sleep(LIVE_STEP_MS / 1000)
            await self._submit()
            while self._in_flight:
                await self._in_flight.popleft()
        finally:
            await producer.stop()

    async def _catch_up(self, stop: asyncio.Event) -> None:
        while not stop.is_set() and (behind_ms := now_ms() - self._cursor_ms) >= LIVE_STEP_MS:
            end_ms = self._cursor_ms + (HISTORY_STEP_MS if behind_ms > 2 * HISTORY_STEP_MS else LIVE_STEP_MS)
            for record in self._feed.step(self._cursor_ms, end_ms):
                await self._add(record)
            self._cursor_ms = end_ms
            if behind_ms <= 2 * HISTORY_STEP_MS:
                await self._submit()
            await asyncio.sleep(0)

    async def _add(self, record: FeedRecord) -> None:
        partition = zlib.crc32(record.key) % self._partitions
        if not self._fits(partition, record):
            await self._submit()
            if not self._fits(partition, record):
                raise ValueError(f"a record of {len(record.value)} bytes fits no batch of {MAX_REQUEST_BYTES}")
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)

    def _fits(self, partition: int, record: FeedRecord) -> bool:
        assert self._producer is not None
        batch = self._open.get(partition) or self._open.setdefault(partition, self._producer.create_batch())
        if batch.record_count() and batch.size() + len(record.value) > BATCH_BYTES:
            return False
        return batch.append(timestamp=record.timestamp_ms, key=record.key, value=record.value) is not None

    async def _submit(self) -> None:
        """All partitions at once, so that none runs ahead of the others."""
        assert self._producer is not None
        for partition, batch in sorted(self._open.items()):
            if batch.record_count():
                batch.close()
                self._in_flight.append(await self._producer.send_batch(batch, self._settings.topics.raw, partition=partition))
        self._open.clear()
        while len(self._in_flight) > BATCHES_IN_FLIGHT:
            await self._in_flight.popleft()
