"""What only Apache Kafka has: transactions, whose markers have an offset and are no record."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.watchlist import Brand
from tests.integration.conftest import Deploy
from tests.integration.logs import prepare
from tests.integration.stream import live_post, now_ms
from tests.integration.worker import Worker, stores, until

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_posts_of_a_transaction_are_counted_although_its_marker_is_never_read(
    kafka: str, deploy: Deploy, place: Path
) -> None:
    settings = deploy(kafka)
    await prepare(settings, [Brand(id="acme")], 1)
    producer = AIOKafkaProducer(**settings.kafka_options(), transactional_id=settings.prefix)
    await producer.start()
    try:
        async with Worker(settings, place / "worker.log") as worker:
            async with producer.transaction():
                for number in range(10):
                    value = live_post(f"p{number}", "acme")
                    await producer.send(settings.topics.raw, value, partition=0, timestamp_ms=now_ms())
            await until(stores(worker, "brand:acme", 10), "a quiet partition is counted", worker)
            assert await worker.terminate() == 0
    finally:
        await producer.stop()
