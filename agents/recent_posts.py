"""Raw records that this worker has just read: curate, if it runs here too, need not ask the broker for them once more.

At most `KEPT_BYTES` of them, the oldest go first. What is here is what the broker would send: a record of the log never changes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

KEPT_BYTES = 64 * 1024 * 1024
_OVERHEAD = 80  # bytes of a record beside its payload


@dataclass(slots=True)
class _Kept:
    """Batches of one raw partition, in order."""

    firsts: list[int] = field(default_factory=list)
    batches: list[tuple[Sequence[int], Sequence[bytes], int]] = field(default_factory=list)  # offsets, payloads, bytes


class RecentPosts:
    """Written by ingest, read by curate, in one event loop."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._kept: dict[TopicPartition, _Kept] = {}
        self._order: deque[TopicPartition] = deque()  # of all batches, oldest first

    def add(self, partition: TopicPartition, offsets: Sequence[int], payloads: Sequence[bytes]) -> None:
        """The next records of this partition. Neither sequence may be changed afterwards."""
        kept = self._kept.setdefault(partition, _Kept())
        size = sum(map(len, payloads)) + _OVERHEAD * len(payloads)
        kept.firsts.append(offsets[0])
        kept.batches.append((offsets, payloads, size))
        self._order.append(partition)
        self.bytes += size
        while self.bytes > self.most_bytes:
            oldest = self._kept[self._order.popleft()]
            del oldest.firsts[0]
            self.bytes -= oldest.batches.pop(0)[2]

    def payload(self, partition: TopicPartition, offset: int) -> bytes | None:
        """The record's bytes; None if it is not here, or not any more."""
        kept = self._kept.get(partition)
        number = bisect_right(kept.firsts, offset) - 1 if kept is not None else -1
        if kept is None or number < 0:
            return None
        offsets, payloads, _ = kept.batches[number]
        at = bisect_left(offsets, offset)
        return payloads[at] if at < len(offsets) and offsets[at] == offset else None

    def clear(self) -> None:
        """Forgets everything: after a rebalance records may come again, in another order."""
        self.bytes = 0
        self._kept.clear()
        self._order.clear()
