"""Keeps the page current from the topics that everybody else reads, and tells it to browsers. It never holds up the agents:
it has consumers of its own, starts near the end, and a browser that does not keep up is dropped and comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.page_view import PageView
from agents.settings import Settings
from schemas.moments import decode_moment
from schemas.windows import decode_windows

log = logging.getLogger(__name__)

LOOK_BACK = {"moments": 300, "windows": 200}  # records per partition that a page just started reads first
WAITING_BYTES = 8 * 1024 * 1024  # of windows kept for the first browser
QUEUE = 64  # messages a browser may be behind: a minute of pulses
MAX_BROWSERS = 50
PULSE_S = 1.0
LOOKED_AT_S = 15.0
GATHERED_BYTES = {"moments": 1, "windows": 1024 * 1024}  # for which a request waits, half a second at most
RETRY_S = 2.0

Message = tuple[str, bytes]  # SSE event name and its JSON


class Subscription:
    """One browser's queue of messages; `None` ends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE)
        self.dropped = False

    def offer(self, message: Message) -> None:
        """Queue the message, or give this browser up if it is too far behind."""
        if self.dropped:
            return
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """The browser gets nothing more; what it has not read is thrown away, so that it notices at once."""
        self.dropped = True
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class PageFeed:
    """`start`, then `snapshot()` and `subscribe()` any time, `stop`. All in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._view = PageView()
        self._subscriptions: set[Subscription] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._connected: dict[str, bool] = {}
        self._changed = False
        self._waiting: deque[bytes] = deque()  # records of windows that nobody has asked for yet
        self._waiting_bytes = 0
        self._looked_s = -math.inf
        self.skipped = 0  # records that could not be read; 0 unless something else writes to the topics

    async def start(self) -> None:
        """Begin to read; returns at once, the broker may come later."""
        topics = self._settings.topics
        self._tasks = [
            asyncio.create_task(self._follow("moments", topics.moments, self.apply_moment)),
            asyncio.create_task(self._follow("windows", topics.windows, self.apply_windows)),
            asyncio.create_task(self._pulse()),
        ]

    async def stop(self) -> None:
        """End all browsers and consumers."""
        for subscription in self._subscriptions:
            subscription.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def used(self) -> dict[str, int]:
        """How full what it holds is; see agents.bounds."""
        return {
            "page_browsers": len(self._subscriptions),
            "page_messages": max((one.queue.qsize() for one in self._subscriptions), default=0),
            "page_waiting_bytes": self._waiting_bytes,
            "page_cells": self._view.cells,
            "page_moments": self._view.moments,
        }

    @property
    def is_looked_at(self) -> bool:
        """Whether a browser is there, or somebody asked for the view a moment ago."""
        return bool(self._subscriptions) or time.monotonic() - self._looked_s < LOOKED_AT_S

    def observe_open(self, counts: Mapping[str, int]) -> None:
        """Provisional counts per term of windows that are still open; cheap, call it as often as wanted."""
        self._view.apply_open(counts)
        self._changed = True

    def apply_moment(self, data: bytes) -> None:
        """Take a record of the moments topic and tell it at once."""
        moment = decode_moment(data)
        if self._view.apply_moment(moment) and self._subscriptions:
            self._tell("moment", orjson.dumps(self._view.moment_json(moment)))
            self._changed = True

    def apply_windows(self, data: bytes) -> None:
        """Take a record of the windows topic; the next pulse tells it. While nobody looks, the last ones wait as they came."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        while self._waiting_bytes > WAITING_BYTES and len(self._waiting) > 1:
            self._waiting_bytes -= len(self._waiting.popleft())
        if self._subscriptions:
            self._catch_up()

    def snapshot(self) -> bytes:
        """The whole view as JSON."""
        self._looked_s = time.monotonic()
        self._catch_up()
        return orjson.dumps({**self._view.snapshot(), "connected": self._is_connected()})

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription | None]:
        """Messages from now on, the whole view first; None if there are too many browsers."""
        if len(self._subscriptions) >= MAX_BROWSERS:
            yield None
            return
        subscription = Subscription()
        subscription.offer(("state", self.snapshot()))
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def _catch_up(self) -> None:
        while self._waiting:
            self.take(lambda data: self._view.apply_windows(decode_windows(data)), self._waiting.popleft())
        self._waiting_bytes, self._changed = 0, True

    def _tell(self, name: str, body: bytes) -> None:
        for subscription in self._subscriptions:
            subscription.offer((name, body))

    def _is_connected(self) -> bool:
        return bool(self._connected) and all(self._connected.values())

    async def _pulse(self) -> None:
        """Counts change with every packet; telling them once a second is enough for eyes."""
        while True:
            await asyncio.sleep(PULSE_S)
            if self._subscriptions and self._changed:
                self._changed = False
                self._tell("counts", orjson.dumps({**self._view.counts(), "connected": self._is_connected()}))

    async def _follow(self, kind: str, topic: str, apply: Callable[[bytes], None]) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                **self._settings.kafka_options(),
                enable_auto_commit=False,
                auto_offset_reset="latest",
                fetch_min_bytes=GATHERED_BYTES[kind],
            )
            try:
                await consumer.start()
                await _seek_near_end(consumer, topic, LOOK_BACK[kind])
                self._connected[topic] = True
                async for record in consumer:
                    self.take(apply, record.value or b"")
            except (KafkaError, OSError) as error:
                log.warning("page: cannot read %s, trying again: %s", topic, error)
            finally:
                self._connected[topic] = False
                self._changed = True
                with contextlib.suppress(KafkaError):
                    await consumer.stop()
            await asyncio.sleep(RETRY_S)

    def take(self, apply: Callable[[bytes], None], data: bytes) -> None:
        """Apply one record; what cannot be read is counted, for a page is no reason to stop a worker."""
        try:
            apply(data)
        except msgspec.DecodeError:
            self.skipped += 1


async def _seek_near_end(consumer: AIOKafkaConsumer, topic: str, look_back: int) -> None:
    numbers = consumer.partitions_for_topic(topic) or (await _fetched_partitions(consumer, topic))
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(starts[partition], ends[partition] - look_back))


async def _fetched_partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.add_topic(topic)  # a client that subscribes to nothing is told of no topic it did not name
    numbers: set[int] | None = consumer.partitions_for_topic(topic)
    if not numbers:
        raise KafkaError(f"topic {topic} is not there yet")
    return numbers
