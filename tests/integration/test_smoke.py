"""One worker and what may come its way: hostile input, a new brand, another platform, curious probes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import orjson
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from agents.bounds import BOUNDS
from agents.feed_broken import BROKEN_REASONS
from agents.metrics import AGENTS, Metrics
from agents.settings import RawTopic, Settings
from agents.watchlist import write_watchlist
from schemas.events import MAX_EVENT_BYTES
from schemas.mentions import Mention, decode_mention
from schemas.watchlist import Brand
from tests.integration.logs import prepare, read, send
from tests.integration.stream import broken_for, live, live_post
from tests.integration.worker import Worker, stored, stores, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PARTITIONS = 2
TAKES_EFFECT_S = 20.0  # "within seconds", on a machine that does other things too
JETSTREAM = {"did": "did:plc:wq4aajammjtxdomz3e23667t", "time_us": 1_783_175_888_085_434, "kind": "commit"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tansu: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    """A worker that reads canonical events, and Bluesky's own."""
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    place = tmp_path_factory.mktemp("smoke")
    raw = (RawTopic("smoke.raw", "canonical"), RawTopic("smoke.jetstream", "bluesky"))
    settings = Settings(kafka=tansu, clickhouse=f"chdb://{place}/db", prefix="smoke", session_timeout_ms=6_000, raw=raw)
    await prepare(settings, [Brand(id="acme")], PARTITIONS)
    async with Worker(settings, place / "worker.log") as running:
        yield running


async def test_hostile_input_becomes_dead_letters_with_reason_and_origin_and_all_else_counts(worker: Worker) -> None:
    settings = worker.settings
    hostile = [(reason, broken_for(random.Random(1), reason)) for reason in BROKEN_REASONS]
    hostile += [("not_json", b'{"id":"deep","text":' + b"[" * 10_000 + b"]" * 10_000 + b"}")]
    hostile += [("too_large", b'{"id":"big","text":"%s"}' % (b"a" * (MAX_EVENT_BYTES + 100_000)))]
    good = [live_post(f"good{n}", "acme again") for n in range(10)]
    good += [live_post("future", "acme tomorrow", created_ms=4_070_908_800_000), live_post("past", "acme long ago", created_ms=0)]
    good += [live_post("nobody", "acme, says nobody", author=None), live_post("timeless", "acme whenever", created_ms=None)]
    mixed = [*hostile, *(("", value) for value in good)]
    random.Random(2).shuffle(mixed)

    messages = live([value for _, value in mixed], PARTITIONS)
    offsets = await send(settings, messages)
    origins = zip(mixed, messages, offsets, strict=True)
    expected = sorted((reason, message.partition, offset) for (reason, _), message, offset in origins if reason)

    async def all_refused() -> bool:
        return len(await read(settings, settings.topics.dead_letters)) >= len(hostile)

    await until(all_refused, f"{len(hostile)} dead letters", worker)
    await until(stores(worker, "brand:acme", len(good)), f"{len(good)} posts are stored", worker)
    letters = [dict(one.headers) for one in await read(settings, settings.topics.dead_letters)]
    assert sorted((one["reason"].decode(), int(one["partition"]), int(one["offset"])) for one in letters) == expected
    assert {one["topic"] for one in letters} == {b"smoke.raw"}
    assert await stored(worker, "brand:acme") == len(good)
    assert await worker.metric("drumbeat_dead_letters_total") == len(hostile)


async def test_a_brand_put_on_the_watchlist_is_seen_within_seconds_and_gone_when_removed(worker: Worker) -> None:
    settings = worker.settings

    async def one_more() -> bool:
        return await worker.metric("drumbeat_watchlist_brands") == 2

    async def one_less() -> bool:
        return await worker.metric("drumbeat_watchlist_brands") == 1

    await write_watchlist(settings, {"newcomer": Brand(id="newcomer", aliases=("New Comer",))})
    await until(one_more, "the brand is known", worker, patience_s=TAKES_EFFECT_S)
    await send(settings, live([live_post("arrival", "hello new comer"), live_post("bystander", "hello there")], PARTITIONS))
    await until(_mentions(worker, "newcomer"), "the post that names it is a mention", worker, patience_s=TAKES_EFFECT_S)
    await write_watchlist(settings, {"newcomer": None})
    await until(one_less, "the brand is forgotten", worker, patience_s=TAKES_EFFECT_S)


async def test_platform_payloads_are_decoded_as_their_topic_says(worker: Worker) -> None:
    record = {"$type": "app.bsky.feed.post", "createdAt": "2026-07-04T14:38:06.240Z", "langs": ["en"], "text": "acme on bluesky"}
    post = {
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": "3mptbyoeyc22k",
        "cid": "b1",
        "rev": "r1",
        "record": record,
    }
    like = {
        "operation": "create",
        "collection": "app.bsky.feed.like",
        "rkey": "3mptbyplj5d2a",
        "cid": "b2",
        "rev": "r2",
        "record": {},
    }
    payloads = [orjson.dumps({**JETSTREAM, "commit": commit}) for commit in (post, like)]
    refused = len(await read(worker.settings, worker.settings.topics.dead_letters))

    await send(worker.settings, live(payloads, PARTITIONS), "smoke.jetstream")

    await until(_mentions(worker, "acme", "bluesky"), "the Bluesky post is a mention", worker)
    assert len(await read(worker.settings, worker.settings.topics.dead_letters)) == refused, "a like is no post, and nothing broken"


async def test_probes_and_scrapers_get_what_is_documented(worker: Worker) -> None:
    status, metrics = await worker.get("/metrics")
    documented = {family.name for family in Metrics(CollectorRegistry()).registry.collect()}
    assert status == 200
    assert documented <= {line.split()[2].removesuffix("_total") for line in metrics.splitlines() if line.startswith("# HELP")}
    assert await worker.metric("drumbeat_worker_up") == 1
    for bound in BOUNDS:
        cap = await worker.metric("drumbeat_bound_cap", what=bound.what)
        assert 0 <= await worker.metric("drumbeat_bound_used", what=bound.what) <= cap == bound.cap
    assert (await worker.get("/api/state"))[0] == 200  # the page counts only what somebody asks for
    for what in ("ingest_remembered_ids", "detect_terms", "watchlist_brands", "page_cells"):
        await until(partial(worker.metric, "drumbeat_bound_used", what=what), f"{what} is reported", worker)
    for path, key in (("/livez", "seconds_since_batch"), ("/readyz", "lag")):
        status, report = await worker.get(path)
        assert status == 200
        assert set(orjson.loads(report)[key]) == set(AGENTS)
    status, page = await worker.get("/")
    assert status == 200
    assert "<html" in page


async def test_the_worker_is_alive_after_all_that_and_stops_when_told_to(worker: Worker) -> None:
    assert await worker.is_ready()
    assert await worker.terminate() == 0


def _mentions(worker: Worker, brand: str, platform: str = "x") -> Callable[[], Awaitable[bool]]:
    def is_it(mention: Mention) -> bool:
        return brand in mention.brands and mention.platform == platform

    async def there() -> bool:
        records = await read(worker.settings, worker.settings.topics.mentions)
        return any(is_it(decode_mention(one.value)) for one in records)

    return there
