"""The worker process: some or all of the agents, with metrics, health and page, until SIGTERM or an error that nobody expects."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from mode import Service
from prometheus_client import CollectorRegistry

from agents.app import App, build_app
from agents.bounds import Bounds, BoundsReport
from agents.clickhouse import ClickHouse
from agents.curate import CurateHandler
from agents.detect import DetectHandler
from agents.health import Health
from agents.ingest import IngestHandler
from agents.metrics import AGENTS, Metrics
from agents.outbox import Outbox
from agents.page_feed import PageFeed
from agents.recent_posts import RecentPosts
from agents.settings import Settings
from agents.source import Handler, Reading, RecordSource
from agents.store import StoreHandler, require_schema
from agents.watchlist_follower import WatchlistFollower
from agents.web import Web
from schemas.errors import BrokerUnavailable, SinkUnavailable
from schemas.topics import MAX_MESSAGE_BYTES
from streams.recent_tables import RecentTables
from streams.warm import warm_up

PROVISIONAL_PAGE_S = 0.5
READING = {  # an answer takes the broker 0.3 ms on a slow machine, and an empty one the worker 2
    "ingest": Reading(32_000),  # what a fetch brings of two partitions: what is cut off of a third costs 30 ms
    "detect": Reading(64),  # a packet can stand for thousands of events
    "curate": Reading(256, wait_ms=500),  # of its one partition every request asks
    "store": Reading(4_000, wait_ms=250, min_bytes=1024 * 1024),  # it gathers rows anyway
}
BATCH_BYTES = 256 * 1024  # messages for one partition that leave together: a send waits for a full batch to leave

GC_THRESHOLD = (60_000, 10, 10)  # a batch makes 16,000 records and more; looking through all of them every 700 took 6 % of the time
COLLECT_S = 30.0  # a quiet worker makes so little that is new that it would wait for hours, with the tables that cycles hold

_log = logging.getLogger(__name__)


def run_worker(settings: Settings, agents: frozenset[str]) -> int:
    """Runs the agents until SIGTERM or SIGINT: 0. Raises what stopped them otherwise; nothing is committed that was not done."""
    _configure_logging(settings)
    warm_up()
    return asyncio.run(_run(settings, agents))


async def _run(settings: Settings, agents: frozenset[str]) -> int:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics = Metrics(CollectorRegistry())
    async with _parts(settings, agents, metrics) as (app, url):
        metrics.up.set(1)
        collect_seldom()
        _log.info("worker: %s on %s; page, metrics and health on %s", ", ".join(sorted(agents)), settings.kafka, url)
        await _until(app, stop)
    return 0


def collect_seldom() -> None:
    """What is there now is not looked through again, and what comes only once it is much."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


@asynccontextmanager
async def _parts(settings: Settings, agents: frozenset[str], metrics: Metrics) -> AsyncIterator[tuple[App, str]]:
    """Everything started in order, stopped in the opposite one."""
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        acks="all",
        linger_ms=5,
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=60_000,
    )
    try:
        await producer.start()
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(f"broker {settings.kafka} does not answer: {error}") from error
    watchlist = WatchlistFollower(settings, metrics)
    clickhouse = await _clickhouse(settings) if "store" in agents else None
    sources = _sources(settings, agents, producer, watchlist, metrics, clickhouse)
    app = build_app(settings, sources)
    health = Health(sources, watchlist)
    page = PageFeed(settings)
    local = clickhouse if settings.clickhouse.startswith("chdb:") else None
    web = Web(settings.listen, metrics.registry, health.live, health.ready, page, query=None if local is None else local.query)
    try:
        await app.start()
        # Channels are shut until somebody says so, and Faust's own consumer is not there to do it. Only here, before anything is
        # read: it also empties all channels, whoever's batches are in them.
        app.flow_control.resume()
        await page.start()
        await web.start()
        services = [
            watchlist,
            *sources,
            _Provisional(sources, page),
            _Collector(),
            BoundsReport(Bounds(metrics), sources, [watchlist, page]),
        ]
        await asyncio.gather(*(app.add_runtime_dependency(service) for service in services))  # group joins take seconds each
        yield app, web.url
    finally:
        await app.stop()
        await web.stop()
        await page.stop()
        for source in sources:
            if isinstance(source.handler, CurateHandler):
                await source.handler.posts.stop()
        await producer.stop()
        await watchlist.stop()
        if clickhouse is not None:
            clickhouse.close()


async def _until(app: App, stop: asyncio.Event) -> None:
    """Waits for the signal; raises what crashed an agent."""
    waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(app._crashed.wait())]  # mode offers no waiter
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    if app.crash_reason is not None:
        raise app.crash_reason


def _sources(
    settings: Settings,
    agents: frozenset[str],
    producer: AIOKafkaProducer,
    watchlist: WatchlistFollower,
    metrics: Metrics,
    clickhouse: ClickHouse | None,
) -> list[RecordSource]:
    """A source for each of the agents, which know of each other what saves work."""
    recent = RecentPosts() if {"ingest", "curate"} <= agents else None
    tables = RecentTables() if {"ingest", "detect"} <= agents else None
    sources: list[RecordSource] = []
    for name in AGENTS:  # store is the last and knows the others
        if name in agents:
            before = tuple(sources)
            sources.append(_source(name, settings, Outbox(producer), watchlist, metrics, clickhouse, recent, tables, before))
    return sources


def _source(
    name: str,
    settings: Settings,
    outbox: Outbox,
    watchlist: WatchlistFollower,
    metrics: Metrics,
    clickhouse: ClickHouse | None,
    recent: RecentPosts | None,
    tables: RecentTables | None,
    before: Sequence[RecordSource],
) -> RecordSource:
    topics = settings.topics
    handler: Handler
    names: Sequence[str]
    if name == "ingest":
        handler = IngestHandler(settings, outbox, watchlist, metrics, recent, tables)
        names = [raw.topic for raw in settings.raw_topics]
    elif name == "detect":
        handler, names = DetectHandler(settings, outbox, metrics, tables), [topics.partials]
    elif name == "curate":
        handler, names = CurateHandler(settings, outbox, watchlist, metrics, recent), [topics.candidates]
    else:
        assert clickhouse is not None, "store needs ClickHouse"
        handler = StoreHandler(settings, clickhouse, metrics, lambda: any(source.is_catching_up() for source in before))
        names = handler.topics
    return RecordSource(name, names, handler, settings, metrics, READING[name])


async def _clickhouse(settings: Settings) -> ClickHouse:
    """ClickHouse, with its schema if it answers; if not, store waits for it and the other agents do not."""
    clickhouse = ClickHouse.connect(settings.clickhouse)
    try:
        await asyncio.to_thread(require_schema, clickhouse, settings.clickhouse)
    except SinkUnavailable as error:
        _log.warning("store waits for ClickHouse, everything else goes on: %s", error)
    return clickhouse


class _Provisional(Service):
    """Shows the page what detect counts right now."""

    def __init__(self, sources: Sequence[RecordSource], page: PageFeed) -> None:
        super().__init__()
        self.handlers = [source.handler for source in sources if isinstance(source.handler, DetectHandler)]
        self.page = page

    @Service.task
    async def _show(self) -> None:
        while not self.should_stop:
            for handler in self.handlers:
                handler.shows_open = self.page.is_looked_at
                self.page.observe_open(handler.open_counts)
            await self.sleep(PROVISIONAL_PAGE_S)


class _Collector(Service):
    """Frees what cycles hold."""

    @Service.task
    async def _collect(self) -> None:
        while not self.should_stop:
            await self.sleep(COLLECT_S)
            gc.collect()


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def _configure_logging(settings: Settings) -> None:
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("aiokafka", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
