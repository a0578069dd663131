"""Posts read back from the raw topic by reference, for the few surges that need an explanation."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from agents.recent_posts import RecentPosts
from agents.settings import Settings
from schemas.candidates import SampleRef
from schemas.errors import MalformedEvent
from schemas.events import Event
from schemas.platforms import decoder

CACHED_POSTS = 20_000
CACHED_BYTES = 64_000_000  # of their texts and links; ordinary posts come to a tenth of it
FETCH_BYTES = 64 * 1024  # one post is wanted, a broker sends whole batches
FETCH_RECORDS = 500
QUIET = 8  # answers without a record, until it is asked what is still there
RETRY_S = 0.5

_log = logging.getLogger(__name__)


class PostsReader:
    """A consumer without group; neighbours are read at once, a bounded cache keeps them: terms of a moment share posts.

    What this worker's own ingest has just read is taken from there: most posts of a surge are seconds old.
    """

    def __init__(self, settings: Settings, recent: RecentPosts | None = None) -> None:
        self.settings = settings
        self._recent = recent if recent is not None else RecentPosts()
        self._cache: OrderedDict[tuple[int, int], Event | None] = OrderedDict()
        self._consumer: AIOKafkaConsumer | None = None
        self.cached_bytes = 0  # as `_weight` has it

    @property
    def cached(self) -> int:
        """Posts in the cache."""
        return len(self._cache)

    async def read(self, refs: Iterable[SampleRef]) -> dict[SampleRef, Event]:
        """The posts that are still there, by reference; a post that retention took is simply missing."""
        wanted = sorted(set(refs), key=lambda ref: (ref.partition, ref.offset))
        unknown = [ref for ref in wanted if (ref.partition, ref.offset) not in self._cache]
        if away := [ref for ref in unknown if not self._take_recent(ref)]:
            await self._fetch(away)
        found = {ref: self._cache.get((ref.partition, ref.offset)) for ref in wanted}
        while len(self._cache) > CACHED_POSTS or self.cached_bytes > CACHED_BYTES:
            self.cached_bytes -= _weight(self._cache.popitem(last=False)[1])
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
        quiet = 0
        try:
            while waiting:
                for tp, offsets in waiting.items():
                    consumer.seek(tp, offsets[0])
                    consumer.resume(tp)
                batches = await consumer.getmany(*waiting, timeout_ms=250, max_records=FETCH_RECORDS)
                quiet = 0 if batches else quiet + 1
                for tp, records in batches.items():
                    self._take(tp.topic, sources[tp], [one for one in records if one.offset in wanted[tp]])
                    self._pass(waiting, tp, sources[tp], records[-1].offset + 1)
                if quiet and quiet % QUIET == 0:
                    for tp, start in (await self._kept(list(waiting))).items():
                        self._pass(waiting, tp, sources[tp], start)
        finally:
            consumer.pause(*sources)

    def _pass(self, waiting: dict[TopicPartition, deque[int]], tp: TopicPartition, source: int, offset: int) -> None:
        """Nothing more will come below this offset."""
        while waiting[tp] and waiting[tp][0] < offset:
            self._cache.setdefault((source, waiting[tp].popleft()), None)
        if not waiting[tp]:
            del waiting[tp]
            assert self._consumer is not None
            self._consumer.pause(tp)  # nothing is fetched that nobody asks for

    async def _kept(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """From where the partitions can be read, as soon as the broker says so; while it is away the question waits.

        To go on without the posts would make another alert of the same surge than a replay does.
        """
        assert self._consumer is not None
        while True:
            try:
                first = await self._consumer.beginning_offsets(partitions)
                end = await self._consumer.end_offsets(partitions)
                empty = {tp: end[tp] for tp in partitions if first[tp] >= end[tp]}
                read_past = {tp: await self._consumer.position(tp) for tp in partitions}
                return {tp: max(first[tp], read_past[tp], empty.get(tp, 0)) for tp in partitions}
            except KafkaError as error:
                _log.warning("posts cannot be read back yet: %s", error)
                await asyncio.sleep(RETRY_S)

    def _take(self, topic: str, source: int, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            self._keep(topic, source, record.offset, record.value or b"")

    def _take_recent(self, ref: SampleRef) -> bool:
        topic, partition = self.settings.source_partition(ref.partition)
        payload = self._recent.payload(TopicPartition(topic, partition), ref.offset)
        if payload is None:
            return False
        self._keep(topic, ref.partition, ref.offset, payload)
        return True

    def _keep(self, topic: str, source: int, offset: int, payload: bytes) -> None:
        event = self._cache[source, offset] = self._decoded(topic, payload)
        self.cached_bytes += _weight(event)

    def _decoded(self, topic: str, payload: bytes) -> Event | None:
        platform = next(raw.platform for raw in self.settings.raw_topics if raw.topic == topic)
        try:
            event = decoder(platform)(payload)
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


def _weight(event: Event | None) -> int:
    """About the bytes of what has no fixed size."""
    return 0 if event is None else len(event.text) + sum(map(len, (*event.tags, *event.mentions, *event.links)))
