"""The raw topics read once, from where the pipeline began, and counted as far as they go; again and again, each record once.

In memory: the cells of the asked windows, the ids of a dedup horizon, posts that name a brand, and what is not committed yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.recount import Dead, Outcomes, RawPartition, RawRecord, Sight
from agents.recount_tally import Post, Said, Tally
from agents.settings import Settings
from schemas.platforms import decoder
from streams.brands import CompiledWatchlist

POLL_MS = 300
POLL_RECORDS = 20_000

Origin = tuple[str, int, int]  # topic, partition, offset


class Recounted(NamedTuple):
    """What the log holds: what must be stored by now, and what may be."""

    cells: pl.DataFrame  # recount.CELLS
    mentions: Mapping[Post, set[Said]]  # must
    more_mentions: Mapping[Post, set[Said]]  # may
    deleted: set[Post]  # must
    more_deleted: set[Post]  # may
    dead: Mapping[Origin, Dead]
    more_dead: Mapping[Origin, Dead]


@dataclass(slots=True)
class _Part:
    raw: RawPartition
    position: int
    done: int  # records below it must be stored
    fresh: list[Sight] = field(default_factory=list)  # of finished segments, not below `done`


class RawRecount:
    """Raw partitions from `starts` on."""

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        starts: Mapping[TopicPartition, int],
        watchlist: CompiledWatchlist,
        span: tuple[int, int],
    ) -> None:
        self._consumer, self._watchlist, self._span = consumer, watchlist, span
        platforms = {raw.topic: raw.platform for raw in settings.raw_topics}
        self.parts = {
            tp: _Part(RawPartition(start, decoder(platforms[tp.topic]), settings.dedup_horizon_ms), start, start)
            for tp, start in starts.items()
        }
        self._tally = Tally(watchlist, *span)
        self._dead: dict[Origin, Dead] = {}
        consumer.assign(list(starts))
        for tp, start in starts.items():
            consumer.seek(tp, start)

    async def read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """All records below `ends` are counted."""
        while waiting := [tp for tp, part in self.parts.items() if part.position < ends[tp]]:
            self._consumer.pause(*(tp for tp in self.parts if tp not in waiting))
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            await asyncio.to_thread(self._feed, batches)
            for tp in waiting:  # the marker of a transaction is no record, but has an offset
                self.parts[tp].position = await self._consumer.position(tp)
            self._consumer.resume(*self.parts)

    def settle(self, done: Mapping[TopicPartition, int]) -> None:
        """Records below `done` must be stored from now on."""
        for tp, part in self.parts.items():
            part.done = max(part.done, done[tp])
            self._sort(part, [])

    def outcomes(self) -> Outcomes:
        """Of the finished segments of all partitions."""
        total = Outcomes()
        for part in self.parts.values():
            one = part.raw.outcomes
            total.records, total.counted = total.records + one.records, total.counted + one.counted
            total.duplicates, total.changes = total.duplicates + one.duplicates, total.changes + one.changes
            total.filtered, total.dead = total.filtered + one.filtered, total.dead + one.dead
        return total

    def counted(self, told: Mapping[TopicPartition, int]) -> Recounted:
        """Everything read so far. `told`: ends of open segments that the pipeline has counted already, as it said itself."""
        sure, more = Tally(self._watchlist, *self._span), Tally(self._watchlist, *self._span, ready=False)
        dead: dict[Origin, Dead] = {}
        more_dead: dict[Origin, Dead] = {}
        for tp, part in self.parts.items():
            more.add(part.fresh)
            opened = part.raw.open()
            is_told = told.get(tp) == opened.end
            (sure if is_told else more).add(opened.sights)
            more.add(opened.perhaps)
            end = opened.end if is_told else part.done
            letters = {origin: one for origin, one in self._dead.items() if origin[:2] == (tp.topic, tp.partition)}
            dead |= {origin: one for origin, one in letters.items() if one.offset < end}
            more_dead |= {origin: one for origin, one in letters.items() if one.offset >= end}
        cells = pl.concat([self._tally.cells(), sure.cells(), more.cells()])
        mentions = {
            post: self._tally.mentions.get(post, set()) | sure.mentions.get(post, set())
            for post in self._tally.mentions.keys() | sure.mentions.keys()
        }
        return Recounted(cells, mentions, more.mentions, self._tally.deleted | sure.deleted, more.deleted, dead, more_dead)

    def _feed(self, batches: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        for tp, records in batches.items():
            part = self.parts[tp]
            part.raw.feed(RawRecord(one.offset, one.timestamp, one.value or b"") for one in records)
            sights, part.raw.sights = part.raw.sights, []
            self._sort(part, sights)
            dead, part.raw.dead = part.raw.dead, []
            self._dead |= {(tp.topic, tp.partition, one.offset): one for one in dead}

    def _sort(self, part: _Part, sights: Sequence[Sight]) -> None:
        part.fresh += sights
        self._tally.add(one for one in part.fresh if one.offset < part.done)
        part.fresh = [one for one in part.fresh if one.offset >= part.done]
        part.raw.forget_clocks(part.done)
