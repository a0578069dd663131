"""What the agents of one worker know of each other."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from agents.clickhouse import ClickHouse
from agents.curate import CurateHandler
from agents.detect import DetectHandler
from agents.ingest import IngestHandler
from agents.metrics import AGENTS, Metrics
from agents.settings import Settings
from agents.source import RecordSource
from agents.store import StoreHandler
from agents.watchlist_follower import WatchlistFollower
from agents.worker import _sources
from schemas import frames
from schemas.packets import PACKET_TERMS
from streams.alignment import AlignmentParams
from streams.segment_table import IngestParams
from tests.agents.silent_producer import SilentProducer

PARTITION = TopicPartition("social.partials", 0)


async def _started(*agents: str) -> dict[str, RecordSource]:
    settings, metrics = Settings(), Metrics(CollectorRegistry())
    clickhouse = ClickHouse.connect("clickhouse://default@127.0.0.1:1/drumbeat")  # opened by the first call only
    producer, watchlist = cast(AIOKafkaProducer, SilentProducer()), WatchlistFollower(settings, metrics)
    return {one.name: one for one in _sources(settings, frozenset(agents), producer, watchlist, metrics, clickhouse)}


@pytest.mark.parametrize("behind", ["ingest", "detect", "curate"])
async def test_store_is_behind_while_any_other_agent_of_its_worker_is(behind: str) -> None:
    sources = await _started(*AGENTS)
    store = sources["store"].handler
    assert isinstance(store, StoreHandler)
    assert not store.is_behind()
    sources["store"].caught_up_s = -math.inf
    assert not store.is_behind(), "what it lags behind itself is a reason to write"
    sources[behind].caught_up_s = -math.inf
    assert store.is_behind()


async def test_detect_gets_the_very_tables_that_ingest_of_its_worker_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = await _started("ingest", "detect")
    table = frames.empty(PACKET_TERMS).clone()
    packed = (await _ingesting(monkeypatch, sources["ingest"])).pack(table)
    assert (await _aligning(monkeypatch, sources["detect"])).unpack(packed) is table


async def test_without_ingest_in_its_worker_detect_reads_tables_from_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    ingest, detect = (await _started("ingest"))["ingest"], (await _started("detect"))["detect"]
    table = frames.empty(PACKET_TERMS).clone()
    packed = (await _ingesting(monkeypatch, ingest)).pack(table)
    found = (await _aligning(monkeypatch, detect)).unpack(packed)
    assert found is not table
    assert found.equals(table)


async def test_curate_looks_for_posts_where_ingest_of_its_worker_leaves_them() -> None:
    sources = await _started("ingest", "curate")
    ingest, curate = sources["ingest"].handler, sources["curate"].handler
    assert isinstance(ingest, IngestHandler)
    assert isinstance(curate, CurateHandler)
    assert curate.posts._recent is ingest.recent is not None


async def _ingesting(monkeypatch: pytest.MonkeyPatch, source: RecordSource) -> IngestParams:
    """The parameters with which ingest does its work."""
    assert isinstance(source.handler, IngestHandler)
    monkeypatch.setattr(source.handler, "_partitions", _one)
    return await source.handler._params(source)


async def _aligning(monkeypatch: pytest.MonkeyPatch, source: RecordSource) -> AlignmentParams:
    """Those with which detect takes packets."""
    assert isinstance(source.handler, DetectHandler)
    monkeypatch.setattr("agents.detect.Checkpoints", _NoCheckpoints)
    return (await source.handler._load(PARTITION, 1, 0)).params.alignment


async def _one(source: RecordSource, topic: str) -> int:
    return 1


class _NoCheckpoints:
    """Of an owner that has written none."""

    def __init__(self, *_: Any) -> None: ...

    async def load(self) -> None: ...
