"""The limit: aiokafka's getmany and the product's typed decoder, nothing else.

    python -m tests.benchmarks.limit ADDRESS TOPIC RECORDS

says {"ready"} when it is assigned, and {"seconds", "cpu_s", "bytes", "peak_bytes"} when it has read and decoded them all.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.events import decode_event
from tests.benchmarks.feed import PARTITIONS
from tests.benchmarks.say import peak, say

MAX_RECORDS = 4_000  # per call


async def read_all(address: str, topic: str, wanted: int) -> dict[str, object]:
    """Reads and decodes so many records of the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, enable_auto_commit=False, max_partition_fetch_bytes=4 * 1024 * 1024, fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        say({"ready": True})
        begun, computed, seen, size = time.perf_counter(), time.process_time(), 0, 0
        while seen < wanted:
            batches = await consumer.getmany(timeout_ms=100, max_records=MAX_RECORDS)
            for records in batches.values():
                for record in records:
                    decode_event(record.value)
                    size += len(record.value)
                seen += len(records)
        return {"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - computed, "bytes": size, **peak()}
    finally:
        await consumer.stop()


if __name__ == "__main__":
    say(asyncio.run(read_all(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
