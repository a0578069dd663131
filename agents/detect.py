"""Detect on Kafka: packets in; windows and surges out; a checkpoint of the state every `checkpoint_ms`.

Written means: 1 windows and candidates are acknowledged, 2 the checkpoint with the offset behind them is written, 3 only
then is that offset committed. After a crash the newest checkpoint is loaded and the log read on from its offset: the
same rows and candidates are made again, under the same keys and numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.checkpoints import Checkpoints, beside, timed
from agents.compute import computed
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.settings import Settings
from agents.source import Batch, RecordSource
from schemas.candidates import CandidateBatch, records_of
from schemas.packets import decode_packet
from schemas.windows import encode_windows
from streams.alignment import AlignmentParams
from streams.detect import Detected, DetectParams, DetectState, Frozen, Halfway, count_windows, find_surges, held, open_counts
from streams.recent_tables import RecentTables
from streams.windows import WindowParams

CHECKPOINT_MS = 10_000
OPEN_COUNTS_MS = 500
OPEN_COUNTS_REST = (
    30  # times as long as it took: while a log is caught up with, millions of open rows are not looked through every time
)
LOOK_S = 1.0
CHECKPOINT_REST = 50  # times as long as the processor was busy with the last one
LONGEST_REST_S = 30.0  # DrumbeatCheckpointOld tells of a minute


def rest_after_checkpoint(took_s: float) -> float:
    """How long no other follows: of a stream that is caught up with they would be a tenth of the work."""
    return min(max(CHECKPOINT_MS / 1000, CHECKPOINT_REST * took_s), LONGEST_REST_S)


@dataclass(slots=True)
class _Owned:
    """One partials partition of this worker."""

    state: DetectState
    params: DetectParams
    checkpoints: Checkpoints
    offset: int  # next record of the partials log
    saved_offset: int
    saved_s: float
    told: list[asyncio.Future[Any]] = field(default_factory=list)  # acknowledgement of the last candidates
    saving: asyncio.Task[None] | None = None  # the newest checkpoint; finished or not
    rest_s: float = field(default_factory=partial(rest_after_checkpoint, 0.0))  # from the last one to the next
    is_between: bool = False  # a packet is half applied: the state is that of no offset

    def is_saving(self) -> bool:
        """Whether a checkpoint is under way."""
        return self.saving is not None and not self.saving.done()


class _Begun(NamedTuple):
    """A packet whose surges are told and whose windows are not."""

    tp: TopicPartition
    offset: int
    halfway: Halfway


class DetectHandler:
    """The detect agent's state: one operator state per partials partition it owns."""

    def __init__(self, settings: Settings, outbox: Outbox, metrics: Metrics, tables: RecentTables | None = None) -> None:
        self.settings, self.outbox, self.metrics = settings, outbox, metrics
        self.alignment = AlignmentParams() if tables is None else AlignmentParams(unpack=tables.unpack)  # None: no ingest runs here
        self.owned: dict[TopicPartition, _Owned] = {}
        self.open_counts: dict[str, int] = {}  # provisional counts of watched terms over all partitions of this worker
        self.shows_open = False  # whether anybody looks at them
        self._count_again_s = self._looked_s = 0.0
        self._held: dict[str, int] = {}  # see `used`

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """The newest checkpoint of every partition, and the offset to read on from."""
        self.source = source
        count = len(source.consumer.partitions_for_topic(self.settings.topics.partials) or partitions)
        self.owned = {}
        for number, tp in enumerate(partitions):
            first = (await source.consumer.beginning_offsets([tp]))[tp]
            self.owned[tp] = await self._load(tp, count, first)
            self.owned[tp].saved_s -= CHECKPOINT_MS / 1000 * number / len(partitions)  # one after the other, not all at once
        return {tp: owned.offset for tp, owned in self.owned.items()}

    async def revoked(self) -> None:
        """A last checkpoint, so that the next owner repeats nothing."""
        for tp, owned in self.owned.items():
            if owned.saving is not None:
                await owned.saving
            if owned.offset > owned.saved_offset and not owned.is_between:
                await (await self._checkpoint(tp, owned))
        await self.outbox.drain()
        self.owned = {}

    async def handle(self, batch: Batch) -> None:
        """Applies new packets, sends what they brought about, writes checkpoints that are due.

        What surges is told first: windows of a partition's last packet are counted when all partitions have said that.
        """
        begun = list[_Begun]()
        for tp, records in batch.records.items():
            for record in records[:-1]:
                await self._finish(await self._begin(tp, record))
            begun.append(await self._begin(tp, records[-1]))
        for one in begun:
            await self._finish(one)
        self._look()
        await self._count_open()
        for tp, owned in self.owned.items():
            age_s = time.monotonic() - owned.saved_s
            self.metrics.checkpoint_age.labels("detect").set(age_s)
            self.metrics.watermark.labels(str(tp.partition)).set(owned.state.alignment.watermark_ms / 1000)
            self.metrics.pending.labels(str(tp.partition)).set(len(owned.state.alignment.pending))
            if owned.saving is not None and owned.saving.done():
                owned.saving.result()  # nothing goes on behind a checkpoint that failed
            if age_s >= owned.rest_s and owned.offset > owned.saved_offset and not owned.is_saving():
                await self._checkpoint(tp, owned)

    def used(self) -> dict[str, int]:
        """How full the fullest of its partitions was within the last seconds; see agents.bounds."""
        return {"detect_outbox": self.outbox.under_way, **self._held}

    def _look(self) -> None:
        """Between two packets, when no thread works on the states."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s, self._held = now_s, {}
        for owned in self.owned.values():
            for what, used in held(owned.state).items():
                self._held[what] = max(self._held.get(what, 0), used)

    def given_way(self) -> dict[str, int]:
        """What gave way so far at the bounds of the partitions it owns."""
        states = [owned.state for owned in self.owned.values()]
        return {
            "detect_pending_rows": sum(state.alignment.forced for state in states),
            "detect_open_rows": sum(state.windows.early for state in states),
            "detect_retained_rows": sum(state.windows.forgotten for state in states),
            "detect_tracks": sum(state.surges.untracked for state in states),
        }

    async def _count_open(self) -> None:
        """Between two packets, when no other thread works on the states."""
        if not self.shows_open:
            self.open_counts = {}
            return
        begun_s = time.monotonic()
        if begun_s < self._count_again_s:
            return
        counts: dict[str, int] = {}
        for owned in self.owned.values():
            counts |= await computed(open_counts, owned.state)
        self.open_counts = counts
        done_s = time.monotonic()
        self._count_again_s = done_s + max(OPEN_COUNTS_MS / 1000, (done_s - begun_s) * OPEN_COUNTS_REST)

    async def _begin(self, tp: TopicPartition, record: ConsumerRecord) -> _Begun:
        owned, packet = self.owned[tp], decode_packet(record.value)
        owned.is_between = True
        halfway = await computed(find_surges, owned.state, packet, owned.params)
        await self._tell(owned, halfway.candidates)
        return _Begun(tp, record.offset, halfway)

    async def _tell(self, owned: _Owned, candidates: Sequence[CandidateBatch]) -> None:
        for record in records_of(candidates):
            await asyncio.gather(*owned.told)  # as with packets: one that is missing before others is a gap for ever
            owned.told = [await self.outbox.send(self.settings.topics.candidates, record, partition=0)]
            await self.outbox.post(owned.told)

    async def _finish(self, begun: _Begun) -> None:
        owned, topics = self.owned[begun.tp], self.settings.topics
        done = await computed(count_windows, owned.state, begun.halfway, begun.offset, owned.params)
        owned.offset, owned.is_between = begun.offset + 1, False
        if done.windows:
            partition = begun.tp.partition
            await self.outbox.post(
                [await self.outbox.send(topics.windows, encode_windows(one), partition=partition) for one in done.windows]
            )
        self._count(done)
        self.source.beat = time.monotonic()  # a packet of a replay can take seconds, a batch of them minutes
        self._look()

    async def _checkpoint(self, tp: TopicPartition, owned: _Owned) -> asyncio.Task[None]:
        """Holds the state still for as long as it takes to copy what changes in place; packets go on while the rest is done."""
        frozen = await computed(owned.state.freeze)
        owned.saving = asyncio.create_task(self._save(tp, owned, owned.offset, frozen))
        return owned.saving

    async def _save(self, tp: TopicPartition, owned: _Owned, offset: int, frozen: Frozen) -> None:
        sections, took_s = await beside(timed, frozen.sections)
        owned.rest_s = rest_after_checkpoint(took_s * len(self.owned))
        await self.outbox.drain()  # 1
        await owned.checkpoints.save(offset, sections)  # 2
        await self.source.commit({tp: offset})  # 3
        owned.saved_offset, owned.saved_s = offset, time.monotonic()
        self.metrics.checkpoint_bytes.labels("detect").set(sum(map(len, sections.values())))

    async def _load(self, tp: TopicPartition, partitions: int, first: int) -> _Owned:
        settings = self.settings
        windows = WindowParams(
            partition=tp.partition, partitions=partitions, lateness_ms=settings.lateness_ms, min_support=settings.min_support
        )
        params = DetectParams(windows=windows, alignment=self.alignment)
        checkpoints = Checkpoints(settings, self.outbox.producer, f"detect-{tp.partition}", tp.partition)
        found = await checkpoints.load()
        state = DetectState.fresh(params) if found is None else DetectState.restore(found.sections, params)
        offset = first if found is None else found.offset
        return _Owned(state, params, checkpoints, offset, offset, time.monotonic())

    def _count(self, done: Detected) -> None:
        self.metrics.late_events.labels("corrected").inc(done.late_events)
        self.metrics.late_events.labels("beside").inc(done.expired_events)
        self.metrics.replayed_segments.inc(done.replayed_segments)
        for batch in done.candidates:
            _count_surges(batch, self.metrics)


def _count_surges(batch: CandidateBatch, metrics: Metrics) -> None:
    for surge in batch.surges:
        metrics.surges.labels(surge.phase).inc()
