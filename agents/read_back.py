"""Records of one partition read back to its true end, without a group: for state that is loaded when partitions are assigned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.settings import Settings
from agents.tail import FETCH_WAIT_MS, newest_offsets

FETCH_BYTES = 8 * 1024 * 1024
TIMEOUT_S = 60.0  # a broker that is busy or elects a leader is no reason to fall over


class PartitionReader:
    """One partition, from `first` to `end` as of when it was opened."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition, first: int, end: int) -> None:
        self.consumer = consumer
        self.partition = partition
        self.first = first
        self.end = end

    async def read(self, start: int, stop: int) -> list[ConsumerRecord]:
        """The records with offsets in [start, stop), as far as they are still there."""
        return [record async for records in self.batches(start, stop) for record in records]

    async def batches(self, start: int, stop: int) -> AsyncIterator[list[ConsumerRecord]]:
        """The same in pieces, so that a partition need not fit into memory."""
        self.consumer.seek(self.partition, max(start, self.first))
        while await self.consumer.position(self.partition) < min(stop, self.end):
            for records in (await self.consumer.getmany(timeout_ms=FETCH_WAIT_MS)).values():
                yield [record for record in records if record.offset < stop]


@asynccontextmanager
async def partition_reader(settings: Settings, partition: TopicPartition) -> AsyncIterator[PartitionReader]:
    """A reader of the partition, closed behind."""
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(),
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    try:
        end = (await newest_offsets(consumer, [partition], TIMEOUT_S))[partition]
        first = (await consumer.beginning_offsets([partition]))[partition]
        yield PartitionReader(consumer, partition, first, end)
    finally:
        await consumer.stop()
