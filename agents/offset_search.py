"""The first record of a time."""

from __future__ import annotations

from aiokafka import TopicPartition

from agents.read_back import PartitionReader, partition_reader
from agents.settings import Settings

BLOCK = 2_000  # records


async def offset_at(settings: Settings, partition: TopicPartition, time_ms: int) -> int:
    """Offset of the first record with this timestamp or a later one; the end if there is none.

    The broker is asked, and its answer checked: the embedded broker goes by the time at which it got the batch.
    """
    async with partition_reader(settings, partition) as reader:
        if reader.first >= reader.end:
            return reader.end
        answer = (await reader.consumer.offsets_for_times({partition: time_ms}))[partition]
        if answer is not None and answer.timestamp >= 0 and await _is_first(reader, answer.offset, time_ms):
            return int(answer.offset)
        for start in range(reader.first, reader.end, BLOCK):
            for record in await reader.read(start, min(start + BLOCK, reader.end)):
                if record.timestamp >= time_ms:
                    return int(record.offset)
        return reader.end


async def _is_first(reader: PartitionReader, offset: int, time_ms: int) -> bool:
    records = await reader.read(max(offset - 1, reader.first), offset + 1)
    before = [record for record in records if record.offset < offset]
    found = [record for record in records if record.offset == offset]
    return bool(found) and found[0].timestamp >= time_ms and all(record.timestamp < time_ms for record in before)
