"""What could grow in an agent does not: each cap is met and held, and every one has its gauge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry

from agents import posts_reader, watchlist_follower
from agents.app import CHANNEL_BATCHES, build_app
from agents.bounds import BOUNDS, GIVING_WAY, Bounds, Channel, Measured
from agents.curate import CurateHandler
from agents.detect import DetectHandler
from agents.generate import ROOT
from agents.ingest import IngestHandler
from agents.metrics import AGENTS, Metrics
from agents.outbox import DEPTH, Outbox
from agents.page_feed import PageFeed
from agents.page_view import MAX_PARTS, PageView
from agents.posts_reader import PostsReader
from agents.settings import Settings
from agents.source import Batch, RecordSource
from agents.store import StoreHandler
from agents.watchlist_follower import WatchlistFollower
from schemas.candidates import SampleRef
from schemas.watchlist import Brand, encode_brand
from streams.curate_state import CurateState
from streams.detect import DetectParams, DetectState, held
from streams.rounds import RoundState
from streams.told import Told
from tests.agents.page_records import START_MS, batch

SETTINGS = Settings()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"drumbeat_{name}", labels)


def record(topic: str, offset: int, data: bytes) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 0, 0, None, data, None, 0, len(data), ())


def test_every_bound_has_a_cap_and_a_zero_at_start() -> None:
    metrics = Metrics(CollectorRegistry())
    Bounds(metrics)
    for bound in BOUNDS:
        full = bound.full.replace(" ", "_")
        assert value(metrics, "bound_cap", what=bound.what, full=full) == bound.cap > 0
        assert value(metrics, "bound_used", what=bound.what, full=full) == 0
    assert [value(metrics, "bound_given_way_total", what=what) for what in GIVING_WAY] == [0] * len(GIVING_WAY)
    assert len({bound.what for bound in BOUNDS}) == len(BOUNDS)


def test_the_document_names_every_bound_and_nothing_else() -> None:
    text = (ROOT / "deploy/OPERATIONS.md").read_text(encoding="utf-8")
    named = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert named == [bound.what for bound in BOUNDS]


async def test_every_bound_is_reported_by_somebody() -> None:
    metrics, outbox = Metrics(CollectorRegistry()), Outbox(cast(Any, None))
    follower = WatchlistFollower(SETTINGS, metrics)
    curate = CurateHandler(SETTINGS, outbox, follower, metrics)
    curate.partition, curate.state, curate.rounds, curate.told = TopicPartition("t", 0), CurateState(), RoundState(), Told()
    ingest, detect = IngestHandler(SETTINGS, outbox, follower, metrics), DetectHandler(SETTINGS, outbox, metrics)
    parts: list[Measured] = [ingest, detect, curate, StoreHandler(SETTINGS, cast(Any, None), metrics), follower, PageFeed(SETTINGS)]
    reported = [what for part in parts for what in part.used()] + list(held(DetectState.fresh(DetectParams())))
    assert sorted(reported) == sorted(bound.what for bound in BOUNDS if not bound.what.endswith("_batches"))
    giving_way = [what for part in (ingest, detect, curate) for what in part.given_way()]
    assert set(giving_way) <= set(GIVING_WAY)


class _Part:
    def __init__(self, used: int, total: int) -> None:
        self._used, self._total = used, total

    def used(self) -> Mapping[str, int]:
        return {"detect_open_rows": self._used}

    def given_way(self) -> Mapping[str, int]:
        return {"detect_open_rows": self._total}


def test_what_gave_way_is_counted_once_also_when_partitions_go_and_come() -> None:
    metrics = Metrics(CollectorRegistry())
    bounds = Bounds(metrics)
    for part in (_Part(5, 3), _Part(6, 7), _Part(0, 0), _Part(2, 2)):
        bounds.report(part)
    assert value(metrics, "bound_used", what="detect_open_rows", full="gives_way") == 2
    assert value(metrics, "bound_given_way_total", what="detect_open_rows") == 9


async def test_a_slow_agent_has_two_batches_before_it_and_its_source_waits() -> None:
    source = RecordSource("ingest", ["social.raw"], cast(Any, None), SETTINGS, Metrics(CollectorRegistry()))
    app = build_app(SETTINGS, [source])
    app.flow_control.resume()
    agent = source.channel.clone(is_iterator=True)
    for _ in range(CHANNEL_BATCHES):
        await asyncio.wait_for(source.channel.put(Batch(0, 0, {}, {})), 10)
    third = asyncio.ensure_future(source.channel.put(Batch(0, 0, {}, {})))
    done, _ = await asyncio.wait([third], timeout=0.05)
    assert not done
    assert Channel(source).used() == {"ingest_batches": CHANNEL_BATCHES}
    await agent.get()
    await third


async def test_no_more_posts_are_under_way_than_the_outbox_is_deep() -> None:
    outbox = Outbox(cast(Any, None))
    message: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    for _ in range(DEPTH):
        await outbox.post([message])
    further = asyncio.ensure_future(outbox.post([message]))
    done, _ = await asyncio.wait([further], timeout=0.05)
    assert not done
    assert outbox.under_way == DEPTH
    message.set_result(None)
    await further
    await outbox.drain()
    assert outbox.under_way == 0


def test_one_brand_too_many_is_left_out_and_one_that_is_known_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchlist_follower, "MAX_BRANDS", 3)
    follower = WatchlistFollower(SETTINGS, Metrics(CollectorRegistry()))
    for number in range(5):
        follower._take(f"b{number}".encode(), encode_brand(Brand(id=f"b{number}")))
    follower._take(b"b1", encode_brand(Brand(id="b1", name="another")))
    follower._take(b"b0", encode_brand(Brand(id="b0", aliases=("a" * 70_000,))))
    assert list(follower.by_id) == ["b1", "b2"], "the third grew too large"
    assert follower.by_id["b1"].name == "another"
    assert follower.used() == {"watchlist_brands": 2}


async def test_posts_read_back_are_kept_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts_reader, "CACHED_BYTES", 50_000)
    reader = PostsReader(SETTINGS)
    post = {"platform": "x", "author": "a", "created_ms": 1, "text": "a" * 9_000}
    for offset in range(20):
        reader._take("social.raw", 0, [record("social.raw", offset, orjson.dumps({**post, "id": str(offset)}))])
        assert len(await reader.read([SampleRef(1, 0, offset)])) == 1, "a post just read is given before it is forgotten"
        assert reader.cached_bytes <= 50_000
    assert reader.cached == 5


def test_late_segments_beside_a_window_do_not_pile_up_on_the_page() -> None:
    view = PageView()
    for number in range(3 * MAX_PARTS):
        view.apply_windows(batch((START_MS, "brand:kestrel", f"0/0:{number}", 1, 1)))
    assert view.counts()["brands"][0]["points"] == [MAX_PARTS]


def test_all_agents_have_a_bound_on_their_channel() -> None:
    assert {f"{name}_batches" for name in AGENTS} <= {bound.what for bound in BOUNDS}
