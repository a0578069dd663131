"""What detect sends when."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry

from agents.checkpoints import Checkpoints, beside
from agents.detect import CHECKPOINT_MS, DetectHandler, _Owned, rest_after_checkpoint
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.settings import Settings
from agents.source import Batch, RecordSource
from schemas.candidates import CandidateBatch
from schemas.packets import Packet, Segment, encode_packet
from streams.detect import Detected, DetectParams, DetectState, Halfway, count_windows, find_surges
from streams.windows import WindowParams
from tests.agents.silent_producer import SilentProducer


def told(sequence: int) -> list[CandidateBatch]:
    return [CandidateBatch(partition=0, partitions=1, sequence=sequence, tick_ms=1_000, surges=())]


async def test_candidates_are_sent_when_those_before_are_acknowledged_and_never_when_they_were_given_up() -> None:
    producer, tp = SilentProducer(), TopicPartition("social.partials", 0)
    handler = DetectHandler(Settings(), Outbox(producer), Metrics(CollectorRegistry()))
    checkpoints = cast("Checkpoints", None)  # none is written here
    handler.owned[tp] = owned = _Owned(DetectState.fresh(DetectParams()), DetectParams(), checkpoints, 0, 0, 0.0)
    await handler._tell(owned, told(0))
    (first,) = producer.sent
    second = asyncio.create_task(handler._tell(owned, told(1)))
    await asyncio.sleep(0)
    assert producer.sent == [first], "those before are still on their way"
    first.set_result(None)
    await second
    assert len(producer.sent) == 2
    third = asyncio.create_task(handler._tell(owned, told(2)))
    producer.sent[1].set_exception(KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        await third
    assert len(producer.sent) == 2, "it would be a gap in the log for ever"
    with pytest.raises(KafkaTimeoutError):
        await handler.outbox.drain()


async def test_what_is_open_is_counted_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, tp = (
        DetectHandler(Settings(), Outbox(SilentProducer()), Metrics(CollectorRegistry())),
        TopicPartition("social.partials", 0),
    )
    handler.owned[tp] = _Owned(DetectState.fresh(DetectParams()), DetectParams(), cast("Checkpoints", None), 0, 0, 0.0)
    monkeypatch.setattr("agents.detect.open_counts", lambda state: {"brand:kestrel": 3})
    await handler._count_open()
    assert handler.open_counts == {}
    handler.shows_open = True
    await handler._count_open()
    assert handler.open_counts == {"brand:kestrel": 3}
    handler.shows_open = False
    await handler._count_open()
    assert handler.open_counts == {}, "nothing old when somebody looks again"


class SlowCheckpoints:
    """Takes one checkpoint at a time and is done with it when told."""

    def __init__(self) -> None:
        self.saved: list[tuple[int, dict[str, bytes]]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def save(self, offset: int, sections: dict[str, bytes]) -> int:
        self.saved.append((offset, sections))
        await self.done
        return 0


class Source:
    """What the handler asks of its source."""

    beat = 0.0

    def __init__(self) -> None:
        self.committed: list[dict[TopicPartition, int]] = []

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.append(offsets)


def a_batch(tp: TopicPartition, *offsets: int) -> Batch:
    records = [SimpleNamespace(offset=offset, value=encode_packet(_packet(offset))) for offset in offsets]
    return Batch(0, 0, {tp: cast("list[ConsumerRecord]", records)}, {})


def _packet(number: int) -> Packet:
    return Packet(source=0, sources=2, final=True, segments=(Segment(number, number + 1, 0, 0),))  # the other source says nothing


async def test_packets_go_on_while_a_checkpoint_is_written_and_nothing_is_committed_before() -> None:
    tp, source, checkpoints = TopicPartition("social.partials", 0), Source(), SlowCheckpoints()
    handler = DetectHandler(Settings(), Outbox(SilentProducer()), Metrics(CollectorRegistry()))
    handler.source = cast("RecordSource", source)
    params, long_ago_s = DetectParams(), -1e6
    owned = _Owned(DetectState.fresh(params), params, cast("Checkpoints", checkpoints), 0, 0, long_ago_s)
    handler.owned[tp] = owned
    await handler.handle(a_batch(tp, 0))
    while not checkpoints.saved:
        await asyncio.sleep(0)
    await handler.handle(a_batch(tp, 1, 2))
    assert owned.offset == 3, "what came meanwhile is applied"
    assert [offset for offset, _ in checkpoints.saved] == [1], "one is under way, so no other begins"
    assert DetectState.restore(checkpoints.saved[0][1], params).alignment.sources[0].next == 1
    assert source.committed == []
    checkpoints.done.set_result(None)
    await handler.revoked()
    assert source.committed == [{tp: 1}, {tp: 3}], "a last one for whoever comes next"


async def test_all_partitions_tell_what_surges_before_the_last_windows_of_any_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def find(state: DetectState, packet: Packet, params: DetectParams) -> Halfway:
        done.append(f"surges of {params.windows.partition}")
        return find_surges(state, packet, params)

    def count(state: DetectState, halfway: Halfway, offset: int, params: DetectParams) -> Detected:
        done.append(f"windows of {params.windows.partition}")
        return count_windows(state, halfway, offset, params)

    monkeypatch.setattr("agents.detect.find_surges", find)
    monkeypatch.setattr("agents.detect.count_windows", count)
    handler = DetectHandler(Settings(), Outbox(SilentProducer()), Metrics(CollectorRegistry()))
    handler.source = cast("RecordSource", Source())
    one, other = (TopicPartition("social.partials", number) for number in range(2))
    for tp in (one, other):
        params = DetectParams(windows=WindowParams(partition=tp.partition, partitions=2))
        handler.owned[tp] = _Owned(DetectState.fresh(params), params, cast("Checkpoints", None), 0, 0, time.monotonic())
    records = {**a_batch(one, 0, 1).records, **a_batch(other, 0).records}
    await handler.handle(Batch(0, 0, records, {}))
    assert done == ["surges of 0", "windows of 0", "surges of 0", "surges of 1", "windows of 0", "windows of 1"]
    assert [owned.offset for owned in handler.owned.values()] == [2, 1]


async def test_a_packet_that_is_half_applied_is_in_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Detected:
        raise MemoryError

    tp, checkpoints = TopicPartition("social.partials", 0), SlowCheckpoints()
    handler = DetectHandler(Settings(), Outbox(SilentProducer()), Metrics(CollectorRegistry()))
    handler.source = cast("RecordSource", Source())
    owned = _Owned(DetectState.fresh(DetectParams()), DetectParams(), cast("Checkpoints", checkpoints), 0, 0, time.monotonic())
    handler.owned[tp] = owned
    await handler.handle(a_batch(tp, 0))
    monkeypatch.setattr("agents.detect.count_windows", fail)
    with pytest.raises(MemoryError):
        await handler.handle(a_batch(tp, 1))
    assert owned.offset == 1, "what came before would be worth a checkpoint"
    await handler.revoked()
    assert checkpoints.saved == []


async def test_nothing_goes_on_behind_a_checkpoint_that_failed() -> None:
    tp, checkpoints = TopicPartition("social.partials", 0), SlowCheckpoints()
    handler = DetectHandler(Settings(), Outbox(SilentProducer()), Metrics(CollectorRegistry()))
    handler.source = cast("RecordSource", Source())
    params = DetectParams()
    handler.owned[tp] = owned = _Owned(DetectState.fresh(params), params, cast("Checkpoints", checkpoints), 0, 0, -1e6)
    checkpoints.done.set_exception(KafkaTimeoutError())
    await handler.handle(a_batch(tp, 0))
    assert owned.saving is not None
    await asyncio.wait([owned.saving])
    with pytest.raises(KafkaTimeoutError):
        await handler.handle(a_batch(tp, 1))


async def test_work_on_checkpoints_gives_way_and_nothing_else_does() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id() if sys.platform == "linux" else 0)

    before = priority()
    assert await beside(priority) == (min(before + 10, 19) if sys.platform == "linux" else before)
    assert priority() == await asyncio.to_thread(priority) == before


def test_checkpoints_rest_twenty_times_as_long_as_they_took_between_ten_and_thirty_seconds() -> None:
    assert rest_after_checkpoint(0.0) == CHECKPOINT_MS / 1000
    assert rest_after_checkpoint(0.5) == 25.0
    assert rest_after_checkpoint(100.0) == 30.0
