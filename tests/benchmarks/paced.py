"""Sends records when they are due, each with the timestamp of when that was, and says how late it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from agents.settings import Settings
from tests.benchmarks.feed import Record

TICK_S = 0.01


@dataclass
class Pace:
    """How it went."""

    late_ms: list[float] = field(default_factory=list)  # of each tick's oldest record, when it was handed to the producer


async def send_paced(settings: Settings, records: Sequence[Record]) -> Pace:
    """All records are on the raw topic, acknowledged; takes as long as their timestamps say."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", max_batch_size=1_000_000)
    pace, sent = Pace(), 0
    acknowledged: list[asyncio.Future[Any]] = []
    async with producer:
        while sent < len(records):
            now_ms = time.time() * 1_000
            batches: dict[int, Any] = {}
            if records[sent].timestamp_ms <= now_ms:
                pace.late_ms.append(now_ms - records[sent].timestamp_ms)
            while sent < len(records) and (record := records[sent]).timestamp_ms <= now_ms:
                batch = batches.setdefault(record.partition, None) or producer.create_batch()
                batches[record.partition] = batch
                if batch.append(key=record.key, value=record.value, timestamp=record.timestamp_ms) is None:
                    break  # it is full: the rest a tick later
                sent += 1
            for partition, batch in batches.items():
                acknowledged.append(await producer.send_batch(batch, settings.topics.raw, partition=partition))
            if len(acknowledged) > 1_000:
                await asyncio.gather(*acknowledged)
                acknowledged.clear()
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*acknowledged)
    return pace
