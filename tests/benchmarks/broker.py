"""The broker that everything is measured on, and what the bench does with it: topics, loading, offsets, reading back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord

from agents.admin import admin_client, create_topics, topic_states
from agents.group_offsets import committed_offsets
from agents.local import LocalBroker
from agents.settings import Settings
from agents.tail import lone_consumer, newest_offsets
from tests.benchmarks.feed import PARTITIONS, Record
from tests.benchmarks.processes import pinned
from tests.kafka_server import AS_DEPLOYED, VERSION, KafkaServer, NoKafka

BATCH_BYTES = 65_536  # of records in one message batch: what producers of busy topics are told to use
_UNDER_WAY = 32
_POLL_S = 0.05
_SELDOM_S = 0.5  # far from the end: to ask is work for the broker, and this process has no core of its own
_NEAR = 0.9
_CONFIG = {"retention.ms": "-1", "message.timestamp.type": "CreateTime", "max.message.bytes": "33554432"}


@dataclass(frozen=True)
class Broker:
    """A broker that answers at `address`."""

    name: str
    address: str
    core: int
    session_ms: int  # workers that stand still for so long are still members

    def settings(self, **others: Any) -> Settings:
        """drumbeat's settings for it."""
        return Settings(kafka=self.address, **others)

    async def make_topic(self, name: str, partitions: int = PARTITIONS) -> str:
        """The topic is there, empty, and keeps what it is given."""
        async with admin_client(self.settings()) as client:
            await create_topics(client, [NewTopic(name, partitions, 1, topic_configs=_CONFIG)])
            while not ((state := (await topic_states(client)).get(name)) and state.ready):
                await asyncio.sleep(_POLL_S)
        return name

    async def forget(self, prefix: str) -> None:
        """No topic begins with `prefix`: disks are finite."""
        async with admin_client(self.settings()) as client:
            names = [name for name in await topic_states(client) if name.startswith(prefix)]
            await client.delete_topics(names)

    async def load(self, topic: str, records: Iterable[Record]) -> None:
        """All records are on the topic, acknowledged, in order of each partition, with their own timestamps."""
        producer = AIOKafkaProducer(bootstrap_servers=self.address, acks="all", max_batch_size=BATCH_BYTES)
        await producer.start()
        try:
            await _load(producer, topic, records)
        finally:
            await producer.stop()

    async def read(self, topic: str) -> AsyncIterator[ConsumerRecord]:
        """All records that the topic holds now."""
        settings = self.settings()
        async with admin_client(settings) as client:
            count = (await topic_states(client))[topic].partitions
        async with lone_consumer(settings) as consumer:
            ends = await newest_offsets(consumer, [TopicPartition(topic, number) for number in range(count)])
            await consumer.seek_to_beginning(*ends)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200, max_records=2_000)).values():
                    for record in records:
                        yield record

    async def follow(self, topic: str, deadline: float) -> AsyncIterator[ConsumerRecord]:
        """The topic's records as they come, from its first on, until that monotonic time."""
        async with lone_consumer(self.settings()) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            while time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        yield record


class Offsets:
    """What a group has committed of a topic, asked without disturbing it."""

    def __init__(self, client: AIOKafkaAdminClient, group: str, topic: str, partitions: int = PARTITIONS) -> None:
        self._client, self._group = client, group
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    async def now(self) -> list[int]:
        """Per partition."""
        found = await committed_offsets(self._client, self._group, self._partitions)
        return [found[tp] or 0 for tp in self._partitions]

    async def reach(self, wanted: Sequence[int], check: Callable[[], None], patience_s: float) -> float:
        """Monotonic time when the group had committed these or more; `check` raises if that can no longer happen."""
        deadline = time.monotonic() + patience_s
        while True:
            found = await self.now()
            if all(have >= want for have, want in zip(found, wanted, strict=True)):
                return time.monotonic()
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._group} is at {found} of {list(wanted)} after {patience_s:.0f} s")
            await asyncio.sleep(_POLL_S if sum(found) >= _NEAR * sum(wanted) else _SELDOM_S)


@asynccontextmanager
async def broker(kind: str, place: Path, core: int) -> AsyncIterator[Broker]:
    """Apache Kafka where it can be had, else Tansu; `kind` any, kafka or tansu. Its process is on `core`."""
    async with AsyncExitStack() as stack:
        try:
            if kind != "tansu":
                with pinned(core):
                    server = stack.enter_context(KafkaServer(place, options=AS_DEPLOYED))
                yield Broker(f"Apache Kafka {VERSION}", server.address, core, 120_000)
                return
        except NoKafka as error:
            if kind == "kafka":
                raise
            sys.stderr.write(f"no Apache Kafka here, the embedded broker will do: {error}\n")
        with pinned(core):
            local = await stack.enter_async_context(LocalBroker())
        yield Broker("Tansu (embedded)", local.address, core, 20_000)  # where a group takes half of it to form


@asynccontextmanager
async def offsets(place: Broker, group: str, topic: str, partitions: int = PARTITIONS) -> AsyncIterator[Offsets]:
    """The group's offsets."""
    async with admin_client(place.settings()) as client:
        yield Offsets(client, group, topic, partitions)


async def _load(producer: AIOKafkaProducer, topic: str, records: Iterable[Record]) -> None:
    open_batches: dict[int, Any] = {}
    sent: list[asyncio.Future[Any]] = []
    for record in records:
        batch = open_batches.setdefault(record.partition, None) or producer.create_batch()
        while batch.append(key=record.key, value=record.value, timestamp=record.timestamp_ms) is None:
            if not batch.record_count():
                raise ValueError(f"a record of {len(record.value)} bytes does not fit into a batch of {BATCH_BYTES}")
            sent.append(await producer.send_batch(batch, topic, partition=record.partition))
            batch = producer.create_batch()
            if len(sent) >= _UNDER_WAY:
                await asyncio.gather(*sent)
                sent.clear()
        open_batches[record.partition] = batch
    sent += [await producer.send_batch(batch, topic, partition=partition) for partition, batch in open_batches.items()]
    await asyncio.gather(*sent)
