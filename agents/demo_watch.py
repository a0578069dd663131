"""What the demo reads from its own topics: moments as they come, whether all is processed, and the raw records once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import polars as pl
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.demo_feeder import now_ms
from agents.demo_recount import RawRecord
from agents.demo_report import Sighting
from agents.settings import Settings
from schemas import frames
from schemas.moments import Moment, decode_moment
from schemas.packets import Packet, Segment, decode_packet
from schemas.windows import WINDOW_MS, decode_windows

_POLL_MS = 300


class MomentWatch:
    """The first word on every moment, by moment id."""

    def __init__(self, tell: Callable[[Sighting, Moment], None]) -> None:
        self._tell = tell
        self.first: dict[str, Sighting] = {}

    async def run(self, settings: Settings) -> None:
        """Follow the moments topic from its start, for ever."""
        async with reading(settings, settings.topics.moments) as (consumer, _):
            async for record in consumer:
                moment = decode_moment(record.value)
                sighting = self.first.setdefault(moment.moment_id, Sighting(now_ms(), moment))
                self._tell(sighting, moment)


async def closed_up_to(settings: Settings) -> int:
    """End of the newest window of all posts that detect has closed; 0 if none."""
    newest = 0
    for record in await read_all(settings, settings.topics.windows):
        batch = decode_windows(record.value or b"")
        if batch.rows:
            starts = frames.from_bytes(batch.rows).filter(pl.col("term") == "all:posts")["window_start_ms"]
            newest = max(newest, int(starts.max() or 0) + WINDOW_MS if len(starts) else 0)  # type: ignore[arg-type]  # Int64 column
    return newest


async def uncommitted(settings: Settings, group: str, topics: Iterable[str]) -> int:
    """Records of the topics behind which the group has not committed."""
    missing = 0
    for topic in topics:
        async with reading(settings, topic, group) as (consumer, partitions):
            ends = await consumer.end_offsets(partitions)
            missing += sum([max(0, ends[partition] - (await consumer.committed(partition) or 0)) for partition in partitions])
    return missing


async def ends(settings: Settings, topics: Iterable[str]) -> list[int]:
    """Records in each of the topics."""
    counts = []
    for topic in topics:
        async with reading(settings, topic) as (consumer, partitions):
            counts.append(sum((await consumer.end_offsets(partitions)).values()))
    return counts


async def duplicates_counted(settings: Settings) -> int:
    """Duplicates in all segments that ingest told detect about, each segment once."""
    final: dict[tuple[int, int], Segment] = {}
    told: dict[int, Packet] = {}  # by source: the last provisional packet, which holds the open segment
    for record in await read_all(settings, settings.topics.partials, partition=0):  # every partition gets every segment's header
        packet = decode_packet(record.value or b"")
        if packet.final:
            final |= {(packet.source, segment.start): segment for segment in packet.segments}
        else:
            told[packet.source] = packet
    opened = [segment for packet in told.values() for segment in packet.segments if (packet.source, segment.start) not in final]
    return sum(segment.duplicates for segment in [*final.values(), *opened])


async def raw_records(settings: Settings) -> list[RawRecord]:
    """The whole raw topic, partition by partition."""
    records = await read_all(settings, settings.topics.raw)
    return sorted((RawRecord(one.partition, one.timestamp, one.value or b"") for one in records), key=lambda one: one.partition)


async def read_all(settings: Settings, topic: str, partition: int | None = None) -> list[ConsumerRecord]:
    """Every record up to where the topic ends now."""
    found: list[ConsumerRecord] = []
    async with reading(settings, topic) as (consumer, partitions):
        chosen = [one for one in partitions if partition in (None, one.partition)]
        ends = await consumer.end_offsets(chosen)
        consumer.pause(*(one for one in partitions if one not in chosen))
        while any([await consumer.position(one) < ends[one] for one in chosen]):
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                found += records
    return found


@asynccontextmanager
async def reading(
    settings: Settings, topic: str, group: str | None = None
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A consumer of all partitions of the topic from their start, and the partitions."""
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(), group_id=group, enable_auto_commit=False, max_partition_fetch_bytes=8 * 1024 * 1024
    )
    await consumer.start()
    try:
        await consumer.topics()
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        yield consumer, partitions
    finally:
        await asyncio.shield(consumer.stop())
