"""Where the agents' groups stand, asked without joining them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents.settings import Settings
from schemas.errors import ConfigurationError

COORDINATOR_S = 5.0  # a fresh cluster makes the topic of its offsets when the first group is asked for
RETRY_S = 0.2


def topics_of(settings: Settings, agent: str) -> tuple[str, ...]:
    """The topics that an agent reads and commits."""
    names = settings.topics
    return {
        "ingest": tuple(raw.topic for raw in settings.raw_topics),
        "detect": (names.partials,),
        "curate": (names.candidates,),
        "store": (names.windows, names.mentions, names.moments, names.dead_letters),
    }[agent]


async def partitions_of(settings: Settings, client: AIOKafkaAdminClient, topics: Sequence[str]) -> list[TopicPartition]:
    """All partitions of the topics; raises ConfigurationError if one is missing. Asking for all creates none."""
    found = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics() if topic["error_code"] == 0}
    missing = [topic for topic in topics if topic not in found]
    if missing:
        raise ConfigurationError(f"broker {settings.kafka} has no topic {', '.join(missing)}; run: drumbeat topics apply")
    return [TopicPartition(topic, number) for topic in topics for number in range(len(found[topic]))]


async def committed_offsets(
    client: AIOKafkaAdminClient, group: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """What the group has committed of each partition; None: nothing."""
    deadline_s = time.monotonic() + COORDINATOR_S
    while True:
        try:
            answer = await client.list_consumer_group_offsets(group, partitions=list(partitions))
            break
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(RETRY_S)
    offsets = {partition: answer[partition].offset if partition in answer else -1 for partition in partitions}
    return {partition: offset if offset >= 0 else None for partition, offset in offsets.items()}
