"""Record batches from Kafka for one agent: positions move only by `commit`, and only while the partitions are ours.

A source owns one aiokafka consumer of one group. It tells its handler which partitions it owns (`assigned` loads their
state and says where to read on), then puts batches on the agent's bounded channel: a slow agent stops the reading. A
batch of an earlier assignment is stale and must be thrown away: what it holds is read again by whoever owns it now.

aiokafka swallows what a rebalance listener raises, so an error there fails closed: nothing more is read and the worker
stops with that error. aiokafka does not call `on_partitions_revoked` before `stop()`, so stopping does.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from mode import Service

from agents.metrics import Metrics
from agents.settings import Settings
from schemas.errors import BrokenLog

CATCHING_UP_S = 2.0  # a live stream leaves something unread now and then
NEVER_MS = 2**31 - 1  # an agent that waits for ClickHouse does not poll; liveness is the heartbeat and /livez
_LOST = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source asks for records: what a batch holds at most, and how long it waits for some.

    A request is answered once the broker has `min_bytes` for it, or after `wait_ms`. Only one is under way at a time: what comes
    into a partition that it does not name waits for its end. An empty batch is the agent's heartbeat.
    """

    max_records: int = 4_000
    wait_ms: int = 100
    min_bytes: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition is read, and what there is to read."""

    position: int
    end: int
    said_s: float = math.inf  # monotonic time when the broker last said where the end is; inf: not known

    @property
    def lag(self) -> int:
        """Records not yet read."""
        return max(self.end - self.position, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of the partitions that have any, and the place of every partition owned."""

    epoch: int
    number: int  # within the epoch: a batch that is lost on the way is noticed
    records: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    places: Mapping[TopicPartition, Place]


class Handler(Protocol):
    """The agent's side: what to do with partitions and batches."""

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """Loads state; returns per partition the offset to read from, None: the committed one, or the beginning."""

    async def revoked(self) -> None:
        """Finishes what is under way, as far as that works, and drops all state."""

    async def handle(self, batch: Batch) -> None:
        """Processes a batch of the present epoch."""


class RecordSource(Service):
    """One consumer group member feeding one agent."""

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        handler: Handler,
        settings: Settings,
        metrics: Metrics,
        reading: Reading = Reading(),
    ) -> None:
        super().__init__()
        self.name = name
        self.topics = tuple(topics)
        self.handler = handler
        self.settings = settings
        self.metrics = metrics
        self.reading = reading
        self.channel: Any = None  # the agent's; set when the app is put together
        self.epoch = 0
        self.ready = False
        self.giving = False  # a rebalance waits for the agent to let go
        self.beat = time.monotonic()  # last time the agent finished a batch
        self.lag = 0
        self.caught_up_s = time.monotonic()  # last time a batch was all that there was to read
        self.lock = asyncio.Lock()  # a batch and a rebalance never overlap
        self._places: dict[TopicPartition, Place] = {}
        self._made = self._processed = 0  # batches of this epoch

    @property
    def label(self) -> str:
        return f"source {self.name}"

    async def on_start(self) -> None:
        self.consumer = AIOKafkaConsumer(
            **self.settings.kafka_options(),
            group_id=f"{self.settings.prefix}.{self.name}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self.settings.session_timeout_ms,
            heartbeat_interval_ms=max(self.settings.session_timeout_ms // 5, 500),
            max_poll_interval_ms=NEVER_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=self.reading.wait_ms,
            fetch_min_bytes=self.reading.min_bytes,
            metadata_max_age_ms=30_000,
        )
        self.consumer.subscribe(topics=list(self.topics), listener=_Listener(self))
        await self.consumer.start()

    @Service.task
    async def _pump(self) -> None:
        try:
            await self._read()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self.should_stop or (task is not None and task.cancelling()):
                raise
            # something that was waited for was cancelled, not this: without a reader the agent would idle for ever
            await self.crash(BrokenLog(f"{self.label}: reading was broken off: {error!r}"))

    async def _read(self) -> None:
        reading = self.reading
        while not self.should_stop:
            epoch = self.epoch
            records = await self.consumer.getmany(timeout_ms=reading.wait_ms, max_records=reading.max_records)
            if self.ready and epoch == self.epoch:
                number, self._made = self._made, self._made + 1
                await self.channel.put(Batch(epoch, number, records, await self._read_places(records)))
            else:
                self._put_back(records)

    async def process(self, batch: Batch) -> None:
        """Hands a batch to the handler unless the partitions have moved on since it was read."""
        async with self.lock:
            if batch.epoch == self.epoch and self.ready:
                if batch.number != self._processed:
                    raise BrokenLog(f"{self.label}: batch {batch.number} of this assignment, expected {self._processed}")
                await self.handler.handle(batch)
                self._processed += 1
                self._measure_lag(batch)
                if not any(place.lag for place in batch.places.values()):
                    self.caught_up_s = time.monotonic()
            self.beat = time.monotonic()

    def is_catching_up(self) -> bool:
        """Whether every batch of the last seconds left something unread, as those of a live stream do not."""
        return time.monotonic() - self.caught_up_s > CATCHING_UP_S

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Makes the offsets durable; a partition that was lost meanwhile is somebody else's to commit."""
        try:
            await self.consumer.commit({tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()})
        except _LOST as error:
            _log.info("%s: offsets not committed, partitions were reassigned: %s", self.label, error)

    async def committed(self, partition: TopicPartition) -> int | None:
        """The group's offset of a partition, or None."""
        offset: int | None = await self.consumer.committed(partition)
        return offset

    async def take(self, partitions: Sequence[TopicPartition]) -> None:
        """A new assignment: loads state, seeks, and only then lets batches through."""
        async with self.lock:
            self.epoch += 1
            begun = time.monotonic()
            starts = await self.handler.assigned(self, partitions)
            first = await self.consumer.beginning_offsets(list(partitions)) if partitions else {}
            self._places = {}
            for partition in partitions:
                start = starts.get(partition)
                if start is None:
                    start = await self.committed(partition)
                if start is not None and start < first[partition]:
                    _log.error("%s: %s lost records %d to %d to retention", self.label, partition, start, first[partition])
                    self.metrics.lost_records.labels(self.name).inc(first[partition] - start)
                start = max(start if start is not None else 0, first[partition])
                self.consumer.seek(partition, start)
                self._places[partition] = Place(start, start + 1)  # not at its end until a fetch has said so
            self.epoch += 1  # what was read between the assignment and the seek is stale
            self._made = self._processed = 0
            self.ready = True
            _log.info(
                "%s: %d partitions in %.1f s: %s",
                self.label,
                len(partitions),
                time.monotonic() - begun,
                {f"{tp.topic}/{tp.partition}": place.position for tp, place in self._places.items()},
            )

    async def give(self) -> None:
        """Partitions are taken away: what is under way is finished first."""
        self.giving = True
        async with self.lock:
            self.giving = False
            if self.ready:
                self.ready = False
                self.epoch += 1
                await self.handler.revoked()

    async def on_stop(self) -> None:
        try:
            await asyncio.wait_for(self.give(), timeout=10)
        except (TimeoutError, KafkaError) as error:
            _log.warning("%s: stopped with work under way, it will be done again: %r", self.label, error)
        await self.consumer.stop()

    def _put_back(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """A read that began before an assignment and ended after its seek took records of the new one: they are read again."""
        for partition in records:
            if partition in self._places and partition in self.consumer.assignment():
                self.consumer.seek(partition, self._places[partition].position)

    async def _read_places(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> dict[TopicPartition, Place]:
        places = self._places  # an assignment makes new ones
        for partition, batch in records.items():
            places[partition] = Place(batch[-1].offset + 1, batch[-1].offset + 2)
        for partition, place in places.items():
            if partition in self.consumer.assignment():
                places[partition] = await self._read_place(partition, place)
        return dict(places)

    async def _read_place(self, partition: TopicPartition, place: Place) -> Place:
        end, position = self.consumer.highwater(partition), place.position
        if position != end:
            try:
                position = await self.consumer.position(partition)  # the marker of a transaction is no record, but has an offset
            except IllegalStateError:  # taken away meanwhile
                return place
        said_ms = self.consumer.last_poll_timestamp(partition)
        said_s = math.inf if said_ms is None else time.monotonic() - (time.time() - said_ms / 1000)
        return Place(position, end if end is not None and end >= position else place.end, said_s)

    def _measure_lag(self, batch: Batch) -> None:
        """Newest offset minus processed offset, over all partitions."""
        self.lag = sum(max(self._places[tp].end - place.position, 0) for tp, place in batch.places.items())
        self.metrics.lag.labels(self.name).set(self.lag)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(self, source: RecordSource) -> None:
        self.source = source

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        await self._guard(self.source.give())

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        await self._guard(self.source.take(sorted(assigned)))

    async def _guard(self, work: Any) -> None:
        try:
            await work
        except Exception as error:
            self.source.ready = False
            await self.source.crash(error)
            raise
