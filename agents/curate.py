"""Curate on Kafka: surges in; moments out, one message per (moment id, sequence); a checkpoint every `checkpoint_ms`.

Written means: 1 the moments are acknowledged, 2 the checkpoint with the offset behind them is written, 3 only then is
that offset committed. After a crash the log is read on from the newest checkpoint; what the moments topic already holds
from before the crash is recognised and not sent again (streams/told.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from aiokafka import TopicPartition

from agents.checkpoints import Checkpoints
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.posts_reader import PostsReader
from agents.read_back import partition_reader
from agents.recent_posts import RecentPosts
from agents.settings import Settings
from agents.source import Batch, RecordSource
from agents.watchlist_follower import WatchlistFollower
from schemas.candidates import decode_candidates
from schemas.moments import Moment, encode_moment
from streams.curate import CurateParams, CurateState, curate, needed_posts
from streams.rounds import Round, RoundState, complete_rounds
from streams.told import Told

CHECKPOINT_MS = 10_000

_log = logging.getLogger(__name__)


class CurateHandler:
    """The curate agent's state: there is one, where the one partition of the candidates topic is."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        watchlist: WatchlistFollower,
        metrics: Metrics,
        recent: RecentPosts | None = None,
    ) -> None:
        self.settings, self.outbox, self.watchlist, self.metrics = settings, outbox, watchlist, metrics
        self.posts = PostsReader(settings, recent)
        self.params = CurateParams()
        self.partition: TopicPartition | None = None
        self._moments = TopicPartition(settings.topics.moments, 0)

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """The newest checkpoint, the moments sent since it, and the offset to read on from."""
        self.source, self.partition = source, None
        if not partitions:
            return {}
        await self.watchlist.ready.wait()
        (self.partition,) = partitions
        self.checkpoints = Checkpoints(self.settings, self.outbox.producer, "curate", 0)
        found = await self.checkpoints.load()
        sections = found.sections if found is not None else {}
        self.rounds = RoundState.restore(sections["rounds"]) if found is not None else RoundState()
        own = {name.removeprefix("curate/"): data for name, data in sections.items() if name.startswith("curate/")}
        self.state = CurateState.restore(own, self.params) if found is not None else CurateState()
        told_until = msgspec.msgpack.decode(sections["moments"], type=int) if found is not None else 0
        self.told, self.told_until = await self._told_since(told_until)
        first = (await source.consumer.beginning_offsets([self.partition]))[self.partition]
        self.offset = self.saved_offset = found.offset if found is not None else first
        self.saved_s = time.monotonic()
        return {self.partition: self.offset}

    async def revoked(self) -> None:
        """A last checkpoint, so that the next owner repeats nothing."""
        if self.partition is not None and self.offset > self.saved_offset:
            await self._checkpoint()
        await self.outbox.drain()
        self.partition = None

    async def handle(self, batch: Batch) -> None:
        """Curates the ticks that the new candidates complete."""
        if self.partition is None:
            return
        for record in batch.records.get(self.partition, ()):
            for candidates in decode_candidates(record.value):
                for one in complete_rounds(self.rounds, candidates):
                    await self._round(one)
            self.offset = record.offset + 1
        age_s = time.monotonic() - self.saved_s
        self.metrics.checkpoint_age.labels("curate").set(age_s)
        if age_s * 1000 >= CHECKPOINT_MS and self.offset > self.saved_offset:
            await self._checkpoint()

    def used(self) -> dict[str, int]:
        """How full what it holds is; see agents.bounds."""
        if self.partition is None:
            return {}
        state, talk = self.state, self.state.usual
        return {
            "curate_outbox": self.outbox.under_way,
            "curate_rounds": self.rounds.waiting_surges,
            "curate_waiting": len(state.waiting),
            "curate_open": len(state.moments),
            "curate_cooling": len(state.cooling),
            "curate_talk_words": len(talk.everything.words),
            "curate_talk_terms": len(talk.terms),
            "curate_told": len(self.told),
            "curate_posts": self.posts.cached,
            "curate_posts_bytes": self.posts.cached_bytes,
        }

    def given_way(self) -> dict[str, int]:
        """What gave way so far at its bounds."""
        if self.partition is None:
            return {}
        gave = self.state.given_way
        return {
            "curate_rounds": self.rounds.forced,
            "curate_waiting": gave.waiting,
            "curate_open": gave.open,
            "curate_cooling": gave.cooling,
            "curate_told": self.told.forgotten,
        }

    async def _round(self, one: Round) -> None:
        refs = needed_posts(self.state, one.surges, self.params, one.tick_ms)
        posts = await self.posts.read(refs) if refs else {}
        moments = curate(self.state, one.tick_ms, one.surges, posts, self.watchlist.brands, self.params, one.tallies)
        for moment in self.told.settle(self.state, moments):
            await self._tell(moment)

    async def _tell(self, moment: Moment) -> None:
        topic = self.settings.topics.moments
        sent = await self.outbox.send(topic, encode_moment(moment), key=moment.moment_id.encode(), partition=0)
        await self.outbox.post([sent], partial(self._remember_end, sent))
        self.metrics.moments.labels(moment.status).inc()
        _log.info("moment %s/%d %s, severity %d: %s", moment.moment_id, moment.sequence, moment.status, moment.severity, moment.why)

    async def _checkpoint(self) -> None:
        await self.outbox.drain()  # 1
        curated = {f"curate/{name}": data for name, data in self.state.snapshot().items()}
        first = self.told.first_offset
        told_until = self.told_until if first is None else first
        sections = {"rounds": self.rounds.snapshot(), "moments": msgspec.msgpack.encode(told_until), **curated}
        await self.checkpoints.save(self.offset, sections)  # 2
        assert self.partition is not None
        await self.source.commit({self.partition: self.offset})  # 3
        self.saved_offset, self.saved_s = self.offset, time.monotonic()
        self.metrics.checkpoint_bytes.labels("curate").set(sum(map(len, sections.values())))

    async def _remember_end(self, sent: asyncio.Future[Any]) -> None:
        self.told_until = max(self.told_until, sent.result().offset + 1)

    async def _told_since(self, offset: int) -> tuple[Told, int]:
        """The moments at and behind an offset, and the end of the topic."""
        async with partition_reader(self.settings, self._moments) as reader:
            told = Told()
            async for records in reader.batches(offset, reader.end):
                for record in records:
                    if record.value:
                        told.add(record.offset, record.value, self.state)
            return told, reader.end
