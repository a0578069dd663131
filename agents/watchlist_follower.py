"""The watchlist as this worker knows it: complete before the first event is enriched, changes within a second."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from mode import Service

from agents.metrics import Metrics
from agents.read_back import TIMEOUT_S
from agents.settings import Settings
from agents.tail import newest_offsets
from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, decode_brand
from streams.brands import CompiledWatchlist, compile_watchlist

POLL_MS = 500
MAX_BRANDS = 10_000
MAX_BRAND_BYTES = 65_536  # a brand with a thousand aliases has a third of that

_log = logging.getLogger(__name__)


class WatchlistFollower(Service):
    """Follows the compacted topic from its beginning; an entry that is no brand, or one too many, is logged and left out."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        super().__init__()
        self.settings, self.metrics = settings, metrics
        self.by_id: dict[str, Brand] = {}
        self.compiled: CompiledWatchlist = compile_watchlist(())
        self.ready = asyncio.Event()
        self.left_out = 0  # brands, because there were too many

    @property
    def brands(self) -> tuple[Brand, ...]:
        """All brands by id."""
        return self.compiled.brands

    def used(self) -> dict[str, int]:
        """How full it is; see agents.bounds."""
        return {"watchlist_brands": len(self.by_id)}

    def given_way(self) -> dict[str, int]:
        """Brands left out because there were too many."""
        return {"watchlist_brands": self.left_out}

    async def on_start(self) -> None:
        self.partition = TopicPartition(self.settings.topics.watchlist, 0)
        self.consumer = AIOKafkaConsumer(**self.settings.kafka_options(), enable_auto_commit=False)
        await self.consumer.start()
        self.end = (await newest_offsets(self.consumer, [self.partition], TIMEOUT_S))[self.partition]
        await self.consumer.seek_to_beginning(self.partition)

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            changed = False
            for records in (await self.consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    self._take(record.key or b"", record.value)
                    changed = True
            if changed:
                self.compiled = compile_watchlist([self.by_id[name] for name in sorted(self.by_id)])
                self.metrics.brands.set(len(self.by_id))
                _log.info("watchlist: %d brands", len(self.by_id))
            if not self.ready.is_set() and await self.consumer.position(self.partition) >= self.end:
                self.ready.set()

    def _take(self, key: bytes, value: bytes | None) -> None:
        name = key.decode("utf-8", "replace")
        if value is None:
            self.by_id.pop(name, None)
            return
        try:
            if len(value) > MAX_BRAND_BYTES:
                raise ConfigurationError(f"{len(value)} bytes, at most {MAX_BRAND_BYTES} are taken")
            brand = decode_brand(value)
            if brand.id not in self.by_id and len(self.by_id) >= MAX_BRANDS:
                self.left_out += 1
                raise ConfigurationError(f"there are {MAX_BRANDS} brands already; remove others, then put it again")
        except ConfigurationError as error:
            _log.warning("watchlist entry %r left out: %s", name, error)
            self.by_id.pop(name, None)
            return
        self.by_id[brand.id] = brand

    async def on_stop(self) -> None:
        await self.consumer.stop()
