"""The broker of the model: every topic a list of bytes, offsets that only their owner's generation may commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

from agents import checkpoints as checkpoints_agent
from agents.checkpoints import Checkpoint, Checkpoints
from tests.invariants.raw_log import RawLog
from tests.invariants.setting import Setting

Message = Callable[[], None]
Pair = tuple[bytes, bytes | None]
T = TypeVar("T")


@dataclass
class Compacted:
    """One partition of a compacted topic: what is superseded may go at any time, tombstones later."""

    records: list[Pair] = field(default_factory=list)

    def append(self, key: bytes, value: bytes | None) -> None:
        """One record."""
        self.records.append((key, value))

    def compact(self, clean: int) -> None:
        """Of the first `clean` records only the newest of each key stays, and no tombstone."""
        last = {key: at for at, (key, _) in enumerate(self.records)}
        head = [pair for at, pair in enumerate(self.records[:clean]) if last[pair[0]] == at and pair[1] is not None]
        self.records = head + self.records[clean:]


@dataclass
class Broker:
    """All topics of a deployment."""

    setting: Setting
    raw: list[RawLog]
    partials: list[list[bytes]]
    seen: list[list[bytes]]  # by source
    windows: list[list[bytes]]
    candidates: list[bytes] = field(default_factory=list)
    moments: list[bytes] = field(default_factory=list)
    mentions: list[bytes] = field(default_factory=list)
    dead_letters: list[tuple[str, int]] = field(default_factory=list)  # topic and offset, from the headers
    checkpoints: Compacted = field(default_factory=Compacted)
    committed: dict[str, int] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, setting: Setting, raw: Sequence[RawLog] | None = None) -> Broker:
        """An empty one, or one that has raw records already."""
        logs = [RawLog(source) for source in range(setting.sources)] if raw is None else list(raw)
        of_partition: tuple[list[list[bytes]], list[list[bytes]]] = ([], [])
        for topic in of_partition:
            topic.extend([] for _ in range(setting.partitions))
        return cls(setting, logs, of_partition[0], [[] for _ in logs], of_partition[1])

    def next_generation(self, owner: str) -> int:
        """Of whoever owns the partition from now on."""
        self.generations[owner] = self.generations.get(owner, 0) + 1
        return self.generations[owner]

    def commit(self, owner: str, generation: int, offset: int) -> None:
        """As Kafka's coordinator does it: refused to whoever was replaced."""
        if self.generations[owner] == generation:
            self.committed[owner] = offset

    def writer(self, owner: str) -> Writer:
        """A writer of checkpoints in its own right."""
        return Writer(self.checkpoints, owner)


class Writer:
    """The real checkpoints of one life of an owner; what they send is handed out message by message."""

    def __init__(self, topic: Compacted, owner: str) -> None:
        self._topic, self._sent = topic, list[Pair]()
        settings: Any = SimpleNamespace(topics=SimpleNamespace(checkpoints="checkpoints"))
        producer: Any = self
        self.checkpoints = Checkpoints(settings, producer, owner, 0)

    def load(self) -> Checkpoint | None:
        """The newest complete checkpoint."""
        with mock.patch.object(checkpoints_agent, "partition_reader", self._reader):
            return _run(self.checkpoints.load())

    def save(self, offset: int, sections: dict[str, bytes]) -> list[Message]:
        """The messages of a checkpoint, in order, none of them sent."""
        _run(self.checkpoints.save(offset, sections))
        sent, self._sent = self.in_order(self._sent), []
        return [lambda key=key, value=value: self._topic.append(key, value) for key, value in sent]  # type: ignore[misc]

    def in_order(self, sent: list[Pair]) -> list[Pair]:
        """As they are sent."""
        return sent

    async def send(self, _topic: str, value: bytes | None, *, key: bytes, partition: int) -> asyncio.Future[None]:
        """What the producer does."""
        assert partition == 0
        self._sent.append((key, value))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    @asynccontextmanager
    async def _reader(self, *_: object) -> AsyncIterator[Any]:
        records = [SimpleNamespace(key=key, value=value) for key, value in self._topic.records]

        async def batches(first: int, end: int) -> AsyncIterator[list[Any]]:
            yield records[first:end]

        yield SimpleNamespace(first=0, end=len(records), batches=batches)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own that nobody else sees."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
