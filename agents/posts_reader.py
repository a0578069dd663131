"""Posts read back from the raw topic by reference, for the few surges that need an explanation."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import groupby

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
        for source, of_source in groupby(unknown, key=lambda ref: ref.partition):
            await self._fetch(source, [ref.offset for ref in of_source])
        found = {ref: self._cache.get((ref.partition, ref.offset)) for ref in wanted}
        while len(self._cache) > CACHED_POSTS:
            self._cache.popitem(last=False)
        return {ref: event for ref, event in found.items() if event is not None}

    async def stop(self) -> None:
        """Closes the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _fetch(self, source: int, offsets: Sequence[int]) -> None:
        """Remembers what is at these ascending offsets, or that nothing is."""
        tp = TopicPartition(*self.settings.source_partition(source))
        consumer = await self._assigned(tp)
        for other in consumer.assignment():
            (consumer.resume if other == tp else consumer.pause)(other)
        waiting, wanted, attempts = deque(offsets), set(offsets), 0
        try:
            while waiting and attempts < ATTEMPTS:
                consumer.seek(tp, waiting[0])
                records = (await consumer.getmany(tp, timeout_ms=250, max_records=FETCH_RECORDS)).get(tp, [])
                attempts = 0 if records else attempts + 1
                for record in records:
                    if record.offset in wanted:
                        self._cache[source, record.offset] = self._decoded(tp.topic, record)
                while records and waiting and waiting[0] <= records[-1].offset:
                    self._cache.setdefault((source, waiting.popleft()), None)
        except KafkaError as error:
            _log.warning("%d posts of %s/%d cannot be read back: %s", len(waiting), tp.topic, tp.partition, error)
        finally:
            consumer.pause(tp)  # nothing is fetched that nobody asks for

    def _decoded(self, topic: str, record: ConsumerRecord) -> Event | None:
        platform = next(raw.platform for raw in self.settings.raw_topics if raw.topic == topic)
        try:
            event = decoder(platform)(record.value or b"")
        except MalformedEvent:
            return None
        return event if isinstance(event, Event) else None

    async def _assigned(self, tp: TopicPartition) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **self.settings.kafka_options(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=FETCH_BYTES,
                fetch_max_wait_ms=10,  # the next question waits for the answer to this one
            )
            await self._consumer.start()
        if tp not in self._consumer.assignment():
            self._consumer.assign([*self._consumer.assignment(), tp])
        return self._consumer
