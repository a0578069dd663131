"""Posts read back from the raw topic by reference, for the few surges that need an explanation."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from agents.settings import Settings
from schemas.candidates import SampleRef
from schemas.errors import MalformedEvent
from schemas.events import Event
from schemas.platforms import decoder

CACHED_POSTS = 20_000
FETCH_BYTES = 64 * 1024  # one post is wanted, a broker sends whole batches
FETCH_RECORDS = 500
ATTEMPTS = 20  # without an answer in between

_log = logging.getLogger(__name__)


class PostsReader:
    """A consumer without group; neighbours are read at once, a bounded cache keeps them: terms of a moment share posts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cache: OrderedDict[tuple[int, int], Event | None] = OrderedDict()
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self, refs: Iterable[SampleRef]) -> dict[SampleRef, Event]:
        """The posts that are still there, by reference; a post that retention took is simply missing."""
        wanted = sorted(set(refs), key=lambda ref: (ref.partition, ref.offset))
        unknown = [ref for ref in wanted if (ref.partition, ref.offset) not in self._cache]
        if unknown:
            await self._fetch(unknown)
        found = {ref: self._cache.get((ref.partition, ref.offset)) for ref in wanted}
        while len(self._cache) > CACHED_POSTS:
            self._cache.popitem(last=False)
        return {ref: event for ref, event in found.items() if event is not None}

    async def stop(self) -> None:
        """Closes the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _fetch(self, refs: Sequence[SampleRef]) -> None:
        """Remembers what is at these places, in order of offset, or that nothing is; all partitions in one go."""
        sources = {TopicPartition(*self.settings.source_partition(ref.partition)): ref.partition for ref in refs}
        waiting = {tp: deque(ref.offset for ref in refs if ref.partition == source) for tp, source in sources.items()}
        wanted = {tp: set(offsets) for tp, offsets in waiting.items()}
        consumer = await self._assigned(sources)
        attempts = 0
        try:
            while waiting and attempts < ATTEMPTS:
                for tp, offsets in waiting.items():
                    consumer.seek(tp, offsets[0])
                    consumer.resume(tp)
                batches = await consumer.getmany(*waiting, timeout_ms=250, max_records=FETCH_RECORDS)
                attempts = 0 if batches else attempts + 1
                for tp, records in batches.items():
                    self._take(tp.topic, sources[tp], [one for one in records if one.offset in wanted[tp]])
                    while waiting[tp] and waiting[tp][0] <= records[-1].offset:
                        self._cache.setdefault((sources[tp], waiting[tp].popleft()), None)
                    if not waiting[tp]:
                        del waiting[tp]
                        consumer.pause(tp)  # nothing is fetched that nobody asks for
        except KafkaError as error:
            _log.warning("posts of %s cannot be read back: %s", ", ".join(f"{tp.topic}/{tp.partition}" for tp in waiting), error)
        finally:
            consumer.pause(*waiting)

    def _take(self, topic: str, source: int, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            self._cache[source, record.offset] = self._decoded(topic, record)

    def _decoded(self, topic: str, record: ConsumerRecord) -> Event | None:
        platform = next(raw.platform for raw in self.settings.raw_topics if raw.topic == topic)
        try:
            event = decoder(platform)(record.value or b"")
        except MalformedEvent:
            return None
        return event if isinstance(event, Event) else None

    async def _assigned(self, partitions: Iterable[TopicPartition]) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **self.settings.kafka_options(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=FETCH_BYTES,
                fetch_max_wait_ms=10,  # the next question waits for the answer to this one
            )
            await self._consumer.start()
        known = self._consumer.assignment()
        if new := set(partitions) - known:
            self._consumer.assign([*known, *new])
            self._consumer.pause(*known, *new)
        return self._consumer
