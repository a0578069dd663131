"""Ingest on Kafka: raw records in; packets, seen ids, mentions and dead letters out; then the offset.

Written means: 1 every message of the finished segments is acknowledged by all replicas, 2 only then is the end of the
last of them committed, and only then are the packets of the next ones sent. A crash in between sends the same messages again;
detect drops segments it has seen.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from agents.compute import computed
from agents.metrics import Metrics
from agents.outbox import Outbox, Then
from agents.read_back import partition_reader
from agents.recent_posts import RecentPosts
from agents.settings import Settings
from agents.source import Batch, Place, RecordSource
from agents.watchlist_follower import WatchlistFollower
from schemas.errors import BadDeploy
from schemas.frames import to_bytes
from schemas.mentions import encode_mention
from schemas.packets import encode_packet
from schemas.platforms import decoder
from schemas.seen import SeenIds, decode_seen, encode_seen
from streams.dedup import DedupParams
from streams.ingest import (
    Arrived,
    Asked,
    Decoder,
    Ingested,
    IngestState,
    Outcomes,
    ingest_all,
    provisional_all,
    recent_outcomes,
    resume,
)
from streams.recent_tables import RecentTables
from streams.records import Columns
from streams.segment_table import IngestParams

PROVISIONAL_MS = 500
FLOWS_S = 1.3  # a partition with final packets closer than this will end its open segment before it would pay to tell of it
PROVISIONAL_REST = 19  # times as long as a pass over the open segments took, until the next: what is final must not wait for it
LONGEST_REST_S = 1.5  # with the wait below, a stream that stops is counted within two seconds and the pass
LONGEST_WAIT_S = 0.4  # of a provisional pass for the end of a second
IDLE_MS = 2_000  # a source with nothing new for so long holds nobody back
CAUGHT_UP_S = 1.0
BLIND_S = 3.0  # without an answer of the broker for so long nobody knows whether a source is idle
LONGEST_GRACE_S = 30.0
LONGEST_SILENCE_S = 10.0  # an idle source says so again: detect trusts it for a minute of the others' clocks
BAD_DEPLOY_RECORDS = 1_000  # so many records in a row, next to none of which decode: stop
BAD_DEPLOY_SHARE = 0.99
_SEEN_BLOCK = 200  # records of social.seen read at a time, backwards

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Owned:
    """One raw partition of this worker."""

    state: IngestState
    decode: Decoder
    outcomes: Outcomes  # of the last BAD_DEPLOY_RECORDS or so
    new_s: float = field(default_factory=time.monotonic)  # monotonic time of the last record
    told_s: float = 0.0  # of the last packet, provisional or final
    told_end: int = -1  # end of the open segment in it
    final_s: float = -math.inf  # of the last final packet
    flows: bool = False  # the next final packet is expected within a second or so
    next_idle_s: float = IDLE_MS / 1000
    unread_s: float = field(default_factory=time.monotonic)  # monotonic time when records were last known to be unread
    final: list[asyncio.Future[Any]] = field(default_factory=list)  # acknowledgements of the last final packets
    blind_s: float = 0.0  # how long the broker did not answer last time it did not

    def is_behind(self) -> bool:
        """Whether it had something to read within the last second: what a fetch says of the end is old at once."""
        return time.monotonic() - self.unread_s < CAUGHT_UP_S

    def look(self, place: Place) -> None:
        """What a broker that does not answer holds back is no silence, nor what producers held back meanwhile: it starts anew."""
        silent_s = time.monotonic() - place.said_s
        if silent_s >= BLIND_S:
            self.blind_s = min(silent_s, LONGEST_GRACE_S)
            self.new_s, self.next_idle_s = time.monotonic(), max(self.blind_s, IDLE_MS / 1000)

    def due(self, place: Place, now_s: float) -> int | None:
        """How long nothing has come, 0 if that is no news; None: nothing is to be said now. Counts as said."""
        # up to the broker's answer: this worker itself may have slept since
        end, quiet_s = self.state.cutter.open_end(), min(place.said_s, now_s) - self.new_s
        if end == self.told_end and quiet_s < self.next_idle_s:
            return None
        if now_s - self.told_s < (FLOWS_S if self.flows else PROVISIONAL_MS / 1000):
            return None
        idle_ms = int(quiet_s * 1000) if quiet_s >= max(IDLE_MS / 1000, self.blind_s) else 0
        if idle_ms:
            self.next_idle_s = quiet_s + min(quiet_s * 0.25 + 0.5, LONGEST_SILENCE_S)
        self.told_s, self.told_end, self.flows = now_s, end, False
        return idle_ms

    def finish(self, now_s: float) -> None:
        """A final packet is said."""
        self.flows = now_s - self.final_s < FLOWS_S
        self.told_s = self.final_s = now_s


def meets_the_end_of_a_second(wall_s: float, pass_s: float) -> bool:
    """Whether a pass begun now would be under way when the second ends and the segments of live partitions with it."""
    return wall_s % 1.0 > 1.0 - min(1.5 * pass_s, LONGEST_WAIT_S)


def rest_after(pass_s: float) -> float:
    """How long no other pass over open segments begins: they take a twentieth of the time, but a stream may have stopped."""
    return min(pass_s * PROVISIONAL_REST, LONGEST_REST_S)


class IngestHandler:
    """The ingest agent's state: one operator state per raw partition it owns."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        watchlist: WatchlistFollower,
        metrics: Metrics,
        recent: RecentPosts | None = None,
        tables: RecentTables | None = None,
    ) -> None:
        self.settings, self.outbox, self.watchlist, self.metrics = settings, outbox, watchlist, metrics
        self.recent = recent  # None: no curate runs here
        self.tables = tables  # None: no detect runs here
        self.owned: dict[TopicPartition, _Owned] = {}
        self.params: IngestParams | None = None
        self._provisional_again_s = self._pass_s = 0.0

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """Dedup memory and log clock of every partition at its committed offset."""
        await self.watchlist.ready.wait()
        if self.recent is not None:
            self.recent.clear()
        self.source = source
        self.params = await self._params(source)
        starts: dict[TopicPartition, int | None] = {}
        for tp in partitions:
            start = await source.committed(tp)
            if start is None:
                start = (await source.consumer.beginning_offsets([tp]))[tp]
            starts[tp] = start
            sightings = await self._sightings(tp, start) if start else []
            number = self.settings.source_id(tp.topic, tp.partition)
            state = resume(number, tp.topic, tp.partition, start, sightings, self.params)
            outcomes = recent_outcomes(sightings, start, BAD_DEPLOY_RECORDS)
            self.owned[tp] = _Owned(state, decoder(self._platform(tp.topic)), outcomes)
        return starts

    async def revoked(self) -> None:
        """Waits for what was sent, so that as much as possible is committed."""
        self.owned = {}
        await self.outbox.drain()

    async def handle(self, batch: Batch) -> None:
        """Tells detect about partitions that are read to their end, ingests new records.

        A partition without news speaks first: behind the others' records its word would vouch for what it has not yet fetched.
        """
        for tp, owned in self.owned.items():
            owned.look(batch.places[tp])
        ended = [tp for tp, place in batch.places.items() if place.lag == 0]
        await self._provisional({tp: batch.places[tp] for tp in ended if tp not in batch.records})
        if batch.records:
            await self._ingest(batch)
            await self._provisional({tp: batch.places[tp] for tp in ended if tp in batch.records})
        self.metrics.remembered_ids.set(sum(len(owned.state.seen) for owned in self.owned.values()))

    def used(self) -> dict[str, int]:
        """How full the fullest of its partitions is; see agents.bounds."""
        states = [owned.state for owned in self.owned.values()]
        return {
            "ingest_outbox": self.outbox.under_way,
            "ingest_open_records": max((state.cutter.open_records for state in states), default=0),
            "ingest_open_bytes": max((state.cutter.open_bytes for state in states), default=0),
            "ingest_remembered_ids": max((state.seen.distinct for state in states), default=0),
            "ingest_recent_bytes": self.recent.bytes if self.recent is not None else 0,
            "ingest_recent_tables": self.tables.bytes if self.tables is not None else 0,
        }

    def given_way(self) -> dict[str, int]:
        """What gave way so far at the bounds of the partitions it owns."""
        return {"ingest_remembered_ids": sum(owned.state.seen.forgotten for owned in self.owned.values())}

    async def _ingest(self, batch: Batch) -> None:
        params, arrived = self.params, []
        assert params is not None
        for tp, records in batch.records.items():
            owned = self.owned[tp]
            owned.new_s, owned.next_idle_s = time.monotonic(), IDLE_MS / 1000
            owned.blind_s = 0.0
            fresh = Columns(
                [record.offset for record in records],
                [record.timestamp for record in records],
                [record.value or b"" for record in records],
            )
            arrived.append(Arrived(owned.state, fresh, owned.decode))
            if self.recent is not None:
                self.recent.add(tp, fresh.offsets, fresh.payloads)
        found = await computed(ingest_all, arrived, self.watchlist.compiled, params)
        for (tp, records), done in zip(batch.records.items(), found, strict=True):
            if done.commit_offset is not None:
                await self._finished(tp, done, batch.places[tp], records[-1].timestamp)

    async def _finished(self, tp: TopicPartition, done: Ingested, place: Place, newest_ms: int) -> None:
        owned = self.owned[tp]
        assert done.commit_offset is not None
        self._check_deploy(tp, owned, done)
        owned.finish(time.monotonic())
        if place.lag:
            owned.unread_s = owned.told_s
        then = partial(self._committed, tp, done.commit_offset, done.outcomes, newest_ms)
        await self._send(tp, done, behind=owned.is_behind(), then=then)

    async def _provisional(self, places: Mapping[TopicPartition, Place]) -> None:
        """Tells what is open of these partitions, which are read to their end: one pass for all, with rests."""
        now_s, asked = time.monotonic(), dict[TopicPartition, Asked]()
        if now_s < self._provisional_again_s or meets_the_end_of_a_second(time.time(), self._pass_s):
            return
        for tp, place in places.items():
            idle_ms = self.owned[tp].due(place, now_s)
            if idle_ms is not None:
                asked[tp] = Asked(self.owned[tp].state, idle_ms)
        if not asked:
            return
        assert self.params is not None
        watchlist, params = self.watchlist.compiled, self.params
        found = await computed(provisional_all, list(asked.values()), int(time.time() * 1000), watchlist, params)
        done_s = time.monotonic()
        self._pass_s = done_s - now_s
        self._provisional_again_s = done_s + rest_after(self._pass_s)
        for tp, done in zip(asked, found, strict=True):
            await self._send(tp, done, behind=self.owned[tp].is_behind())

    async def _send(self, tp: TopicPartition, done: Ingested, *, behind: bool, then: Then | None = None) -> None:
        topics, send = self.settings.topics, self.outbox.send
        if done.seen is not None:
            # A packet that the client gave up on and a later one that it did not would be a gap in the log for ever.
            await asyncio.gather(*self.owned[tp].final)
        sent = []
        for partition, packet in enumerate(done.packets):
            sent.append(await send(topics.partials, encode_packet(packet, behind=behind), partition=partition))
        if done.seen is not None:
            self.owned[tp].final = list(sent)
        if done.seen is not None:
            sent.append(await send(topics.seen, encode_seen(done.seen), partition=self._seen_partition(tp)))
        sent += [await send(topics.mentions, encode_mention(one), key=one.key) for one in done.mentions]
        for letter in done.dead_letters:
            self.metrics.dead_letters.labels(letter.reason).inc()
            sent.append(await send(topics.dead_letters, letter.payload, headers=letter.headers()))
        self.metrics.packets.labels("final" if done.seen is not None else "provisional").inc(len(done.packets))
        await self.outbox.post(sent, then)

    async def _committed(self, tp: TopicPartition, offset: int, outcomes: Counter[str], newest_ms: int) -> None:
        """Waits in the outbox with nothing but what it needs: the packets themselves are the producer's by then."""
        await self.source.commit({tp: offset})
        for outcome, count in outcomes.items():
            self.metrics.records.labels(outcome).inc(count)
        self.metrics.ingest_delay.observe(max(time.time() - newest_ms / 1000, 0.0))

    def _check_deploy(self, tp: TopicPartition, owned: _Owned, done: Ingested) -> None:
        total, dead = owned.outcomes
        total, dead = total + sum(done.outcomes.values()), dead + done.outcomes["dead"]
        if total >= BAD_DEPLOY_RECORDS:
            if dead > BAD_DEPLOY_SHARE * total and self.settings.malformed == "stop":
                reason = done.dead_letters[-1].reason if done.dead_letters else "?"
                raise BadDeploy(
                    f"{tp.topic}/{tp.partition}: {dead} of the last {total} records up to offset {done.commit_offset} do not decode"
                    f" as {self._platform(tp.topic)!r} (last reason: {reason}): is DRUMBEAT_RAW set to the right platform?"
                    " If this is what the topic holds, DRUMBEAT_MALFORMED=accept lets them become dead letters"
                )
            total = dead = 0
        owned.outcomes = Outcomes(total, dead)

    async def _params(self, source: RecordSource) -> IngestParams:
        raw = [await self._partitions(source, topic.topic) for topic in self.settings.raw_topics]
        return IngestParams(
            sources=sum(raw),
            partitions=await self._partitions(source, self.settings.topics.partials),
            author_key=self.settings.author_key.encode(),
            dedup=DedupParams(self.settings.dedup_horizon_ms),
            pack=to_bytes if self.tables is None else self.tables.pack,
        )

    async def _partitions(self, source: RecordSource, topic: str) -> int:
        await source.consumer._client.add_topic(topic)  # aiokafka knows only subscribed topics otherwise
        return len(source.consumer.partitions_for_topic(topic) or ())

    async def _sightings(self, tp: TopicPartition, committed: int) -> list[SeenIds]:
        """Records of social.seen that the horizon still needs, read backwards in growing blocks."""
        seen = TopicPartition(self.settings.topics.seen, self._seen_partition(tp))
        number = self.settings.source_id(tp.topic, tp.partition)
        found: list[SeenIds] = []
        async with partition_reader(self.settings, seen) as reader:
            upper, block = reader.end, _SEEN_BLOCK
            while upper > reader.first:
                lower = max(reader.first, upper - block)
                async for some in reader.batches(lower, upper):
                    records = [decode_seen(record.value) for record in some if record.value]
                    found += [one for one in records if one.source == number and one.end <= committed]
                clocks = [one.clock_ms for one in found]
                if clocks and min(clocks) < max(clocks) - self.settings.dedup_horizon_ms:
                    break
                upper, block = lower, block * 4
        return found

    def _seen_partition(self, tp: TopicPartition) -> int:
        partition: int = tp.partition
        return partition

    def _platform(self, topic: str) -> str:
        return next(raw.platform for raw in self.settings.raw_topics if raw.topic == topic)
