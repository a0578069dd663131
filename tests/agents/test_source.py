"""A source hands on every record once, whatever a rebalance does to a read that is under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from agents import source as source_module
from agents.metrics import Metrics
from agents.settings import Settings
from agents.source import Batch, Place, Reading, RecordSource
from schemas.errors import BrokenLog

RAW = TopicPartition("social.raw", 0)


class _Record(NamedTuple):
    offset: int


@dataclass
class _Log:
    """A consumer of one partition with ten records; a read waits until it may, and takes from where it stands by then."""

    at: int = 0
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[_Record]]:
        self.reading.set()
        await self.may_read.wait()
        start, self.at = self.at, min(self.at + 4, 10)
        await asyncio.sleep(0)
        return {RAW: [_Record(offset) for offset in range(start, self.at)]} if self.at > start else {}

    async def position(self, partition: TopicPartition) -> int:
        return self.at

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at = offset

    def assignment(self) -> set[TopicPartition]:
        return {RAW}

    def highwater(self, partition: TopicPartition) -> int:
        return 10

    def last_poll_timestamp(self, partition: TopicPartition) -> None:
        """It never says."""

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)


class _FromTheStart:
    """A handler that reads on from 0 and keeps what it gets."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return dict.fromkeys(partitions, 0)

    async def revoked(self) -> None:
        self.offsets.clear()

    async def handle(self, batch: Batch) -> None:
        for records in batch.records.values():
            self.offsets += [record.offset for record in records]


async def test_a_read_that_spans_an_assignment_loses_no_record_of_the_new_one() -> None:
    handler, log = _FromTheStart(), _Log()
    source = RecordSource("ingest", [RAW.topic], handler, Settings(), Metrics(CollectorRegistry()))
    source.consumer, source.channel = log, asyncio.Queue(maxsize=1)
    pump: asyncio.Future[None] = asyncio.ensure_future(RecordSource._pump.fun(source))
    await log.reading.wait()  # under way, for nobody yet

    await source.take([RAW])
    log.may_read.set()
    for _ in range(5):
        await source.process(await asyncio.wait_for(source.channel.get(), 10))

    assert handler.offsets == list(range(10))
    pump.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pump


async def test_a_source_asks_for_as_much_and_waits_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _Asked()
    monkeypatch.setattr(source_module, "AIOKafkaConsumer", asked)
    source = RecordSource("store", [RAW.topic], _FromTheStart(), Settings(), Metrics(CollectorRegistry()), Reading(7, 250, 1_000))
    await source.on_start()
    with contextlib.suppress(asyncio.CancelledError):
        await source._read()
    assert asked.of_broker == {"fetch_max_wait_ms": 250, "fetch_min_bytes": 1_000}
    assert asked.of_client == {"timeout_ms": 250, "max_records": 7}


class _Asked:
    """A consumer, and what it was asked for until its first read, which is cancelled."""

    def __call__(self, **options: Any) -> _Asked:
        self.of_broker = {name: value for name, value in options.items() if name in ("fetch_max_wait_ms", "fetch_min_bytes")}
        return self

    def subscribe(self, **_: Any) -> None: ...

    async def start(self) -> None: ...

    async def getmany(self, **options: int) -> None:
        self.of_client = options
        raise asyncio.CancelledError


async def test_a_batch_that_is_lost_between_source_and_agent_is_noticed() -> None:
    handler, log = _FromTheStart(), _Log()
    source = RecordSource("ingest", [RAW.topic], handler, Settings(), Metrics(CollectorRegistry()))
    source.consumer = log
    await source.take([RAW])
    with pytest.raises(BrokenLog, match="batch 1 of this assignment, expected 0"):
        await source.process(Batch(source.epoch, 1, {}, {}))
    assert handler.offsets == []


async def test_a_log_is_caught_up_with_while_no_batch_of_two_seconds_was_all_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(source_module, "time", SimpleNamespace(monotonic=lambda: clock[0], time=lambda: clock[0]))
    source = RecordSource("ingest", [RAW.topic], _FromTheStart(), Settings(), Metrics(CollectorRegistry()))
    source.consumer = _Log()
    await source.take([RAW])
    found = []
    for number, unread in enumerate([5, 5, 5, 0, 5, 0, 5, 5, 5, 5]):
        clock[0] = 101.0 + number
        await source.process(Batch(source.epoch, number, {}, {RAW: Place(10, 10 + unread)}))
        found.append(source.is_catching_up())
    assert found == [False, False, True, False, False, False, False, False, True, True]


async def test_a_reader_whose_wait_is_cancelled_by_somebody_else_stops_the_worker_instead_of_idling() -> None:
    source = RecordSource("ingest", [RAW.topic], _FromTheStart(), Settings(), Metrics(CollectorRegistry()))
    source.consumer, source.channel = _Cancelled(), asyncio.Queue()
    await RecordSource._pump.fun(source)
    assert isinstance(source.crash_reason, BrokenLog)


class _Cancelled(_Log):
    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[_Record]]:
        waiting: asyncio.Future[dict[TopicPartition, list[_Record]]] = asyncio.get_running_loop().create_future()
        waiting.cancel()
        return await waiting
