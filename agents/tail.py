"""A topic read without a consumer group: every record once, in order per partition, and a clear end if the broker is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.admin import admin_client, topic_states, unreachable
from agents.settings import Settings
from schemas.errors import ConfigurationError

POLL_MS = 500
PROBE_S = 5.0  # the client retries for ever in silence; asking for end offsets after a quiet while shows that the broker is gone


class KeyValue(NamedTuple):
    """One record; a value None removes its key."""

    key: bytes | None
    value: bytes | None


async def tail(settings: Settings, topic: str, *, beginning: bool, follow: bool) -> AsyncIterator[KeyValue]:
    """The topic's records from its beginning or its end on, for ever or (`follow` False) up to where it ends now.

    Raises ConfigurationError if there is no such topic, BrokerUnavailable when the broker goes away.
    """
    async with admin_client(settings) as client:
        state = (await topic_states(client)).get(topic)
    if state is None:
        raise ConfigurationError(f"broker {settings.kafka} has no topic {topic}; run: drumbeat topics apply")
    partitions = [TopicPartition(topic, p) for p in range(state.partitions)]
    consumer = AIOKafkaConsumer(**settings.kafka_options(), enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(partitions)
        await (consumer.seek_to_beginning if beginning else consumer.seek_to_end)(*partitions)
        async for record in _records(consumer, partitions, follow=follow):
            yield record
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(settings, error) from error
    finally:
        await consumer.stop()


async def _records(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], *, follow: bool) -> AsyncIterator[KeyValue]:
    ends = await consumer.end_offsets(partitions)
    quiet_ms = 0
    while follow or any([await consumer.position(p) < ends[p] for p in partitions]):
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for records in batches.values():
            for record in records:
                yield KeyValue(record.key, record.value)
        quiet_ms = 0 if batches else quiet_ms + POLL_MS
        if quiet_ms >= PROBE_S * 1000:
            await asyncio.wait_for(consumer.end_offsets(partitions), PROBE_S)
            quiet_ms = 0
