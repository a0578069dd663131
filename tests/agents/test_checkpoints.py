"""The newest complete checkpoint is what comes back, whatever was torn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from agents.checkpoints import CHUNK_BYTES, Checkpoints
from agents.local import LocalBroker
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
    newest = successor.kept.manifests[-1]
    for name in newest.sections["small"]:
        await producer.send_and_wait(settings.topics.checkpoints, None, key=f"detect-0|chunk|{name}".encode(), partition=0)
    survivor = await mine().load()
    assert survivor is not None
    assert (survivor.offset, survivor.sections["small"]) == (20, b"2")

    last = mine()
    await last.load()
    for number in range(3):
        await last.save(40 + number, {"small": str(number).encode()})
    assert len(last.kept.chunks) == 2, "chunks that no manifest needs are still kept"
    assert len((await last._read())[0]) == 2
