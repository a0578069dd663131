"""Recorded posts on a raw topic as if they happened again: bytes unchanged, key = post id, record timestamp = the post's own time.

At least once: a retry after a lost answer may send a batch twice, which ingest's deduplication undoes. Posts of one id always
go to the same partition, by the murmur2 of the Java client, run after run. A line counts as sent when all replicas have it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from agents.admin import admin_client, topic_states, unreachable
from agents.recordings import MAX_LINE_BYTES, Line, Recording, in_time_order
from agents.settings import Settings
from agents.topics import in_words
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.topics import DAY_MS

BATCH_BYTES = 256 * 1024  # larger batches gain nothing measurable, smaller ones cost a round trip each
REQUEST_TIMEOUT_MS = 30_000  # then the broker counts as gone
MAX_REQUEST_BYTES = MAX_LINE_BYTES + 1024 * 1024
BATCHES_IN_FLIGHT = 32  # bounds memory at 8 MB
EARLY_S = 0.02  # a paced post may be this early; sleeping per post would halve the rate
_FOREVER = -1

Report = Callable[[Line, float], None]
"""Called for every line with the seconds that will be waited before it is sent."""


@dataclass(frozen=True, slots=True)
class ReplayParams:
    """Where to and how fast."""

    topic: str
    speed: float | None  # event seconds per second; None: as fast as the broker takes them
    check_retention: bool = True

    def __post_init__(self) -> None:
        if self.speed is not None and not 0 < self.speed < float("inf"):
            raise ConfigurationError(f"speed {self.speed}: expected a number above 0, or max")


class Replay:
    """One run over some recordings. `sent` counts acknowledged lines by file, also when the run is stopped half-way."""

    def __init__(self, settings: Settings, recordings: Sequence[Recording], params: ReplayParams) -> None:
        self._settings = settings
        self._recordings = recordings
        self._params = params
        self.sent: Counter[str] = Counter()

    async def run(self, report: Report) -> None:
        """Sends everything; raises ConfigurationError before the first record if the topic would not keep it."""
        lines = iter(in_time_order(self._recordings))
        first = next(lines, None)
        if first is None:
            return
        partitions = await check_topic(self._settings, self._params, first[1].time_ms, first[0].now_ms)
        producer = AIOKafkaProducer(
            **self._settings.kafka_options(),
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        sender = _Sender(producer, self._params.topic, partitions, self.sent)
        try:
            await producer.start()
            await self._send(sender, first, lines, report)
        except KafkaError as error:
            raise _refused(self._settings, error) from error
        finally:
            await producer.stop()
            await sender.abandon()

    async def _send(
        self, sender: _Sender, first: tuple[Recording, Line], rest: Iterable[tuple[Recording, Line]], report: Report
    ) -> None:
        pace = _Pace(self._params.speed, first[1].order_ms, time.monotonic())
        await sender.add(*first)
        report(first[1], 0.0)
        for recording, line in rest:
            wait_s = pace.wait_s(line.order_ms, time.monotonic())
            if wait_s:
                await sender.submit()
            report(line, wait_s)
            if wait_s:
                await asyncio.sleep(wait_s)
            await sender.add(recording, line)
        await sender.finish()


async def check_topic(settings: Settings, params: ReplayParams, oldest_ms: int, now_ms: int) -> int:
    """The topic's partitions; raises ConfigurationError if it is missing or would not keep posts of `oldest_ms` at their time."""
    async with admin_client(settings) as client:
        state = (await topic_states(client)).get(params.topic)
    if state is None:
        raise ConfigurationError(f"broker {settings.kafka} has no topic {params.topic}; run: drumbeat topics apply --history")
    if not params.check_retention:
        return state.partitions
    if state.config.get("message.timestamp.type", "CreateTime") != "CreateTime":
        raise ConfigurationError(
            f"{params.topic} has message.timestamp.type={state.config['message.timestamp.type']}, which overwrites the posts' own "
            "times; run: drumbeat topics apply"
        )
    keep_ms = int(state.config.get("retention.ms", _FOREVER))  # a broker that does not say deletes by no age that we know of
    if keep_ms != _FOREVER and now_ms - oldest_ms > keep_ms:
        age_d = (now_ms - oldest_ms) / DAY_MS
        raise ConfigurationError(
            f"{params.topic} keeps {in_words(keep_ms)}, and the oldest post is {age_d:,.0f} d old: the broker would delete it; "
            "run: drumbeat topics apply --history (or replay with --no-check)"
        )
    return state.partitions


class _Pace:
    """When a post of some event time is due, counted from the first one."""

    def __init__(self, speed: float | None, first_ms: int, started_s: float) -> None:
        self._speed, self._first_ms, self._started_s = speed, first_ms, started_s

    def wait_s(self, order_ms: int, now_s: float) -> float:
        """Seconds until it is due; 0 if it is, or nearly."""
        if self._speed is None:
            return 0.0
        wait_s = self._started_s + (order_ms - self._first_ms) / 1000 / self._speed - now_s
        return wait_s if wait_s > EARLY_S else 0.0


class _Sender:
    """Batches per partition, a bounded number of them on their way. Order within a partition is kept."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int, sent: Counter[str]) -> None:
        self._producer, self._topic, self._sent = producer, topic, sent
        self._partitions = list(range(partitions))
        self._partitioner = DefaultPartitioner()
        self._open: dict[int, tuple[BatchBuilder, Counter[str]]] = {}
        self._in_flight: deque[tuple[asyncio.Future[object], Counter[str]]] = deque()

    async def add(self, recording: Recording, line: Line) -> None:
        partition = self._partitioner(line.key, self._partitions, self._partitions)
        if not self._fits(partition, line):
            await self._submit(partition)
            self._fits(partition, line)  # an empty batch takes a record of any size
        self._open[partition][1][recording.name] += 1

    async def submit(self) -> None:
        """Everything added so far is on its way."""
        for partition in list(self._open):
            await self._submit(partition)

    async def finish(self) -> None:
        """Everything added so far is acknowledged."""
        await self.submit()
        while self._in_flight:
            await self._acknowledged()

    async def abandon(self) -> None:
        """Counts what was acknowledged while the producer stopped; the rest is lost, which is known and told once."""
        await asyncio.sleep(0)  # an acknowledgement reaches our future one turn of the loop later
        for future, counts in self._in_flight:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._sent.update(counts)

    def _fits(self, partition: int, line: Line) -> bool:
        if partition not in self._open:
            self._open[partition] = (self._producer.create_batch(), Counter())
        appended = self._open[partition][0].append(timestamp=line.time_ms, key=line.key, value=line.payload)
        return appended is not None

    async def _submit(self, partition: int) -> None:
        batch, counts = self._open.pop(partition)
        batch.close()
        self._in_flight.append((await self._producer.send_batch(batch, self._topic, partition=partition), counts))
        while len(self._in_flight) > BATCHES_IN_FLIGHT:
            await self._acknowledged()

    async def _acknowledged(self) -> None:
        future, counts = self._in_flight[0]
        await future
        self._in_flight.popleft()
        self._sent.update(counts)


def _refused(settings: Settings, error: KafkaError) -> BrokerUnavailable | ConfigurationError:
    if error.retriable:
        return unreachable(settings, error)
    return ConfigurationError(f"broker {settings.kafka} refuses the records: {error}")
