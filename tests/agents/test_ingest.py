"""When ingest may say that a source is idle, what it knows after a restart, and what it sends when."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import cast
from unittest.mock import AsyncMock

import polars as pl
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from agents.detect import DetectHandler
from agents.ingest import (
    BLIND_S,
    FLOWS_S,
    LONGEST_GRACE_S,
    LONGEST_WAIT_S,
    PROVISIONAL_MS,
    IngestHandler,
    _Owned,
    meets_the_end_of_a_second,
    rest_after,
)
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.settings import Settings
from agents.source import Place, RecordSource
from agents.watchlist_follower import WatchlistFollower
from schemas.packets import Packet, Segment
from schemas.platforms import decoder
from schemas.seen import SeenIds
from streams.alignment import AlignmentState, align
from streams.brands import compile_watchlist
from streams.ingest import Ingested, Outcomes, ingest, recent_outcomes, resume
from streams.recent_tables import RecentTables
from streams.records import Record
from streams.segment_table import IngestParams
from tests.agents.silent_producer import SilentProducer


@pytest.mark.parametrize(
    ("grace_s", "silent_s"), [(0.0, BLIND_S - 0.5), (BLIND_S, BLIND_S), (20.0, 20.0), (LONGEST_GRACE_S, 3 * LONGEST_GRACE_S)]
)
def test_after_a_broker_that_did_not_answer_silence_counts_anew_and_for_as_long_again(grace_s: float, silent_s: float) -> None:
    state = resume(0, "raw", 0, 0, (), IngestParams(sources=1, partitions=1, author_key=b"a key for the tests"))
    owned = _Owned(state, decoder("canonical"), Outcomes(0, 0), new_s=time.monotonic() - 100)
    before_s = owned.new_s
    owned.look(Place(10, 10, time.monotonic() - silent_s))
    assert owned.blind_s == pytest.approx(grace_s, abs=0.2)
    assert (owned.new_s > before_s) == (grace_s > 0)
    owned.look(Place(10, 10, time.monotonic()))
    assert owned.blind_s == pytest.approx(grace_s, abs=0.2), "the first answer does not end it"


@pytest.mark.parametrize(("gap_s", "waits_s"), [(1.0, FLOWS_S), (5.0, PROVISIONAL_MS / 1_000)])
def test_what_is_open_of_a_partition_that_flows_is_told_only_when_it_stops(gap_s: float, waits_s: float) -> None:
    state = resume(0, "raw", 0, 0, (), IngestParams(sources=1, partitions=1, author_key=b"a key for the tests"))
    owned, now_s = _Owned(state, decoder("canonical"), Outcomes(0, 0)), time.monotonic()
    owned.new_s, place = now_s, Place(10, 10, now_s)
    owned.finish(now_s - gap_s)
    owned.finish(now_s)
    assert owned.due(place, now_s + waits_s - 0.05) is None
    assert owned.due(place, now_s + waits_s + 0.05) == 0


@pytest.mark.parametrize(
    ("wall_s", "pass_s", "waits"),
    [(7.5, 0.02, False), (7.98, 0.02, True), (7.5, 0.2, False), (7.75, 0.2, True), (7.55, 3.0, False), (8.0, 3.0, False)],
)
def test_what_is_open_is_told_when_nothing_final_waits_for_it(wall_s: float, pass_s: float, waits: bool) -> None:
    assert meets_the_end_of_a_second(wall_s, pass_s) is waits


def test_passes_over_open_segments_rest_for_long_but_not_until_a_stream_that_stopped_is_forgotten() -> None:
    for pass_s in (0.001, 0.02, 0.07):
        assert pass_s / (pass_s + rest_after(pass_s)) == pytest.approx(0.05)
    assert rest_after(60.0) + LONGEST_WAIT_S < 2.0


def seen(start: int, end: int, dead: int) -> SeenIds:
    return SeenIds(source=0, start=start, end=end, clock_ms=0, ids=b"", steps=b"", records=end - start, dead=dead)


@pytest.mark.parametrize(
    ("expected", "sightings", "offset"),
    [
        ((0, 0), [], 500),
        ((500, 500), [seen(0, 300, 300), seen(300, 500, 200)], 500),
        ((300, 10), [seen(0, 200, 200), seen(200, 500, 10)], 500),  # enough without the older ones
        ((100, 1), [seen(0, 100, 1), seen(100, 900, 800)], 100),  # of a sleeper, beyond what is committed
    ],
)
def test_what_became_of_the_last_records_is_known_after_a_restart(
    expected: tuple[int, int], sightings: Sequence[SeenIds], offset: int
) -> None:
    assert recent_outcomes(sightings, offset, 300) == expected


def finished(start: int) -> Ingested:
    packet = Packet(source=0, sources=1, final=True, segments=(Segment(start, start + 10, 0, 0),))
    return Ingested([packet, packet], [], [], seen(start, start + 10, 0), start + 10, Counter())


async def test_a_packet_is_sent_when_the_one_before_is_acknowledged_and_never_when_it_was_given_up() -> None:
    producer, tp = SilentProducer(), TopicPartition("social.raw", 0)
    metrics = Metrics(CollectorRegistry())
    handler = IngestHandler(Settings(), Outbox(producer), WatchlistFollower(Settings(), metrics), metrics)
    state = resume(0, "raw", 0, 0, (), IngestParams(sources=1, partitions=2, author_key=b"a key for the tests"))
    handler.owned[tp] = _Owned(state, decoder("canonical"), Outcomes(0, 0))
    await handler._send(tp, finished(0), behind=False)
    first = list(producer.sent)
    second = asyncio.create_task(handler._send(tp, finished(10), behind=False))
    await asyncio.sleep(0)
    first[0].set_result(None)
    await asyncio.sleep(0)
    assert producer.sent == first, "the other packet is still on its way"
    first[1].set_exception(KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        await second
    assert producer.sent == first, "it would be a gap in the log for ever"
    with pytest.raises(KafkaTimeoutError):
        await handler.outbox.drain()


async def test_tables_that_ingest_packed_are_handed_to_detect_in_the_same_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, metrics, outbox = RecentTables(), Metrics(CollectorRegistry()), Outbox(SilentProducer())
    handler = IngestHandler(Settings(), outbox, WatchlistFollower(Settings(), metrics), metrics, tables=tables)
    monkeypatch.setattr(handler, "_partitions", AsyncMock(return_value=1))
    params = await handler._params(cast(RecordSource, None))
    posts = [Record(offset, 1_700_000_000_000, b'{"id":"p%d","text":"#kestrel"}' % offset) for offset in range(12)]
    posts.append(Record(12, 1_700_000_002_000, b'{"id":"later"}'))
    (packet,) = ingest(resume(0, "raw", 0, 0, (), params), posts, decoder("canonical"), compile_watchlist([]), params).packets
    assert handler.used()["ingest_recent_tables"] > len(packet.terms) > 0
    detect = DetectHandler(Settings(), outbox, metrics, tables)
    monkeypatch.setattr("schemas.frames.from_bytes", None)  # nothing is read
    aligned = align(AlignmentState(), packet, detect.alignment)
    assert [piece.terms.filter(pl.col("term") == "hashtag:kestrel")["events"].to_list() for piece in aligned.pieces] == [[12]]
    assert tables.bytes == 0
