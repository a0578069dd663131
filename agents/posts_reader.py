"""Posts read back from the raw topic by reference, for the few surges that need an explanation."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.settings import Settings
from schemas.candidates import SampleRef
from schemas.errors import MalformedEvent
from schemas.events import Event
from schemas.platforms import decoder

CACHED_POSTS = 20_000
FETCH_BYTES = 64 * 1024  # one post is wanted, a broker sends whole batches
ATTEMPTS = 20

_log = logging.getLogger(__name__)


class PostsReader:
    """A consumer without group that reads single records; bounded cache, because the terms of a moment share posts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cache: OrderedDict[tuple[int, int], Event | None] = OrderedDict()
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self, refs: Iterable[SampleRef]) -> dict[SampleRef, Event]:
        """The posts that are still there, by reference; a post that retention took is simply missing."""
        wanted = sorted(set(refs), key=lambda ref: (ref.partition, ref.offset))
        for ref in wanted:
            place = ref.partition, ref.offset
            if place not in self._cache:
                self._cache[place] = await self._fetch(ref)
        found = {ref: self._cache[ref.partition, ref.offset] for ref in wanted}
        while len(self._cache) > CACHED_POSTS:
            self._cache.popitem(last=False)
        return {ref: event for ref, event in found.items() if event is not None}

    async def stop(self) -> None:
        """Closes the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _fetch(self, ref: SampleRef) -> Event | None:
        topic, number = self.settings.source_partition(ref.partition)
        tp = TopicPartition(topic, number)
        consumer = await self._assigned(tp)
        for other in consumer.assignment():
            (consumer.resume if other == tp else consumer.pause)(other)
        try:
            consumer.seek(tp, ref.offset)
            for _ in range(ATTEMPTS):
                for records in (await consumer.getmany(tp, timeout_ms=250, max_records=500)).values():
                    for record in records:
                        self._remember(record.offset, record.value, ref)
                    if records:
                        return self._cache.get((ref.partition, ref.offset))
        except KafkaError as error:
            _log.warning("post %s/%d at %d cannot be read back: %s", topic, number, ref.offset, error)
        return None

    def _remember(self, offset: int, value: bytes | None, ref: SampleRef) -> None:
        topic, _ = self.settings.source_partition(ref.partition)
        platform = next(raw.platform for raw in self.settings.raw_topics if raw.topic == topic)
        if offset != ref.offset or value is None:
            return
        try:
            event = decoder(platform)(value)
        except MalformedEvent:
            return
        self._cache[ref.partition, offset] = event if isinstance(event, Event) else None

    async def _assigned(self, tp: TopicPartition) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **self.settings.kafka_options(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=FETCH_BYTES,
                fetch_max_wait_ms=100,
            )
            await self._consumer.start()
        if tp not in self._consumer.assignment():
            self._consumer.assign([*self._consumer.assignment(), tp])
        return self._consumer
