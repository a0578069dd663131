"""Where a recount begins: at the oldest record, or where ingest of a prefix was set to begin."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.offset_search import offset_at
from agents.settings import Settings


async def starting_offsets(
    settings: Settings, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], began_ms: int | None
) -> tuple[dict[TopicPartition, int], list[TopicPartition]]:
    """First offset of each partition, and the partitions of which older records were deleted: counts of then are not known."""
    first: dict[TopicPartition, int] = await consumer.beginning_offsets(list(partitions))
    if began_ms is None:
        return first, [tp for tp, offset in first.items() if offset > 0]
    starts = {tp: await offset_at(settings, tp, began_ms) for tp in partitions}
    return starts, [tp for tp in partitions if starts[tp] == first[tp] > 0]
