"""A topic read without a consumer group: every record once, in order per partition, and a clear end if the broker is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.admin import admin_client, topic_states, unreachable
from agents.settings import Settings
from schemas.errors import ConfigurationError

POLL_MS = 500
FETCH_WAIT_MS = 100  # how long the broker may wait for more before it answers
PROBE_S = 5.0  # the client retries for ever in silence; asking for end offsets after a quiet while shows that the broker is gone


class KeyValue(NamedTuple):
    """One record; a value None removes its key."""

    key: bytes | None
    value: bytes | None


async def tail(settings: Settings, topic: str, *, beginning: bool, follow: bool) -> AsyncGenerator[KeyValue, None]:
    """The topic's records from its beginning or its end on, for ever or (`follow` False) up to where it ends now.

    Raises ConfigurationError if there is no such topic, BrokerUnavailable when the broker goes away.
    """
    async with admin_client(settings) as client:
        state = (await topic_states(client)).get(topic)
    if state is None:
        raise ConfigurationError(f"broker {settings.kafka} has no topic {topic}; run: drumbeat topics apply")
    partitions = [TopicPartition(topic, p) for p in range(state.partitions)]
    async with lone_consumer(settings) as consumer:
        ends = await newest_offsets(consumer, partitions)
        if beginning:
            await consumer.seek_to_beginning(*partitions)
        else:
            for partition, end in ends.items():
                consumer.seek(partition, end)
        async for record in _records(consumer, ends, follow=follow):
            yield record


@asynccontextmanager
async def lone_consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer without a group; raises BrokerUnavailable if the broker does not answer, also in the middle."""
    consumer = AIOKafkaConsumer(**settings.kafka_options(), enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS)
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(settings, error) from error
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    except asyncio.CancelledError:  # aiokafka lets the cancellation of its own tasks out; only one of ours may pass
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def newest_offsets(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], timeout_s: float = PROBE_S
) -> dict[TopicPartition, int]:
    """The offset behind the newest record of each partition; the consumer is then assigned to them, at no place in particular.

    A fetch is asked, not `end_offsets`: for that the embedded broker answers with the start of its last batch, plus one.
    """
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    deadline = time.monotonic() + timeout_s
    while any(consumer.highwater(p) is None for p in partitions):
        await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer within {timeout_s:.0f} s")
    return {p: consumer.highwater(p) for p in partitions}


async def _records(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], *, follow: bool) -> AsyncIterator[KeyValue]:
    quiet_s = time.monotonic()
    while follow or any([await consumer.position(p) < end for p, end in ends.items()]):
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for records in batches.values():
            for record in records:
                yield KeyValue(record.key, record.value)
        if batches:
            quiet_s = time.monotonic()
        elif time.monotonic() - quiet_s > PROBE_S:
            await asyncio.wait_for(consumer.end_offsets(list(ends)), PROBE_S)
            quiet_s = time.monotonic()
