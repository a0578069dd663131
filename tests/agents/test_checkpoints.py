"""The newest complete checkpoint is what comes back, whatever was torn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.checkpoints import CHUNK_BYTES, Checkpoints
from agents.local import LocalBroker
from agents.read_back import partition_reader
from agents.settings import Settings
from agents.topics import apply_topics

pytestmark = pytest.mark.integration


@pytest.fixture
async def parts() -> AsyncIterator[tuple[Settings, AIOKafkaProducer]]:
    async with LocalBroker() as broker:
        settings = replace(Settings(), kafka=broker.address)
        await apply_topics(settings)
        producer = AIOKafkaProducer(**settings.kafka_options(), acks="all")
        await producer.start()
        yield settings, producer
        await producer.stop()


async def test_checkpoints_come_back_changed_sections_are_sent_and_torn_ones_passed_over(
    parts: tuple[Settings, AIOKafkaProducer],
) -> None:
    settings, producer = parts
    large = bytes(range(256)) * (CHUNK_BYTES // 128)

    def mine() -> Checkpoints:
        return Checkpoints(settings, producer, "detect-0", 0)

    async def remove(writer: str, *chunks: str) -> None:
        for name in chunks:
            await producer.send_and_wait(
                settings.topics.checkpoints, None, key=f"detect-0|{writer}|chunk|{name}".encode(), partition=0
            )

    assert await mine().load() is None
    writer = mine()
    await writer.save(10, {"large": large, "small": b"1", "empty": b""})
    sent = await writer.save(20, {"large": large, "small": b"2", "empty": b""})
    assert 0 < sent < 100, "a section that did not change was sent again"
    await Checkpoints(settings, producer, "curate", 0).save(99, {"small": b"of somebody else"})
    found = await mine().load()
    assert found is not None
    assert found.offset == 20
    assert found.sections == {"large": large, "small": b"2", "empty": b""}

    successor = mine()
    await successor.load()
    await successor.save(30, {"small": b"3"})
    await remove(successor.writer, *successor.manifests[-1].sections["small"])
    assert await mine().load() is None, "what the successor found was removed, and its own is torn"
    await successor.save(31, {"small": b"4"})
    await successor.save(32, {"small": b"5"})
    await remove(successor.writer, *successor.manifests[-1].sections["small"])
    survivor = await mine().load()
    assert survivor is not None
    assert (survivor.offset, survivor.sections["small"]) == (31, b"4")

    last = mine()
    await last.load()
    for number in range(3):
        await last.save(40 + number, {"small": str(number).encode()})
    assert len(last.chunks) == 2, "chunks that no manifest needs are still kept"
    assert len(await keys(settings)) == 2 + 2, "what earlier writers left is still there"


async def test_a_writer_that_wakes_up_beside_its_successor_takes_nothing_from_it(
    parts: tuple[Settings, AIOKafkaProducer],
) -> None:
    settings, producer = parts
    sleeper = Checkpoints(settings, producer, "detect-0", 0)
    for offset in (10, 20):
        await sleeper.save(offset, {"a": b"same", "b": str(offset).encode()})
    successor = Checkpoints(settings, producer, "detect-0", 0)
    await successor.load()
    await successor.save(50, {"a": b"same", "b": b"50"})

    await sleeper.save(25, {"a": b"other", "b": b"25"})  # drops its own chunk of "same"
    await sleeper.save(26, {"a": b"other", "b": b"26"})

    found = await Checkpoints(settings, producer, "detect-0", 0).load()
    assert found is not None
    assert (found.offset, found.sections) == (50, {"a": b"same", "b": b"50"})


async def keys(settings: Settings) -> dict[bytes, bytes]:
    """What a compacted topic still holds of the owner."""
    left: dict[bytes, bytes] = {}
    async with partition_reader(settings, TopicPartition(settings.topics.checkpoints, 0)) as reader:
        for record in await reader.read(reader.first, reader.end):
            if record.value is None:
                left.pop(record.key, None)
            elif record.key.startswith(b"detect-0|"):
                left[record.key] = record.value
    return left
