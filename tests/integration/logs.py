"""What tests write to topics and read from them, without a consumer group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.settings import Settings
from agents.tail import newest_offsets
from agents.topics import apply_topics
from agents.watchlist import write_watchlist
from schemas.watchlist import Brand
from tests.integration.stream import Message
from tests.integration.worker import Worker, until

_POLL_MS = 200
_LARGEST = 8 * 1024 * 1024


async def prepare(settings: Settings, brands: Sequence[Brand], partitions: int) -> None:
    """Topics and watchlist are there."""
    await apply_topics(settings, partitions=partitions, partials=2, history=True)
    await write_watchlist(settings, {brand.id: brand for brand in brands})


async def send(settings: Settings, messages: Iterable[Message], topic: str = "") -> list[int]:
    """All messages are on the topic (raw), acknowledged, in order of each partition; their offsets."""
    producer = AIOKafkaProducer(**settings.kafka_options(), acks="all", linger_ms=20, max_request_size=_LARGEST)
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic or settings.topics.raw, m.value, key=m.key, partition=m.partition, timestamp_ms=m.timestamp_ms
            )
            for m in messages
        ]
        return [(await one).offset for one in sent]
    finally:
        await producer.stop()


async def read(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """All records that the topic holds now."""
    found: list[ConsumerRecord] = []
    async with _consumer(settings, topic) as (consumer, ends):
        await consumer.seek_to_beginning(*ends)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                found += records
    return found


async def arrival(settings: Settings, topic: str, worker: Worker) -> None:
    """Returns as soon as a record comes to the topic."""
    async with _consumer(settings, topic) as (consumer, ends):

        async def arrived() -> bool:
            return any((await consumer.getmany(timeout_ms=_POLL_MS)).values())

        await consumer.seek_to_beginning(*ends)
        await until(arrived, f"something is on {topic}", worker)


async def unprocessed(settings: Settings, agent: str, topics: Iterable[str]) -> int:
    """Records that an agent's group has not committed, of what the topics hold now."""
    missing = 0
    for topic in topics:
        async with _consumer(settings, topic, settings.group(agent)) as (consumer, ends):
            missing += sum([end - (await consumer.committed(tp) or 0) for tp, end in ends.items()])
    return missing


@asynccontextmanager
async def _consumer(
    settings: Settings, topic: str, group: str | None = None
) -> AsyncIterator[tuple[AIOKafkaConsumer, Mapping[TopicPartition, int]]]:
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(),
        group_id=group,
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=_LARGEST,
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)  # it knows only subscribed topics otherwise
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        assert partitions, f"no topic {topic}"
        yield consumer, await newest_offsets(consumer, partitions)
    finally:
        await consumer.stop()
