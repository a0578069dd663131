"""The whole pipeline over an iterable of records, without broker: the same operators in the same order as the agents.

One raw partition, one detect partition. Same records, same output, however they are fed in pieces.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.candidates import CandidateBatch, SampleRef
from schemas.dead_letters import DeadLetter
from schemas.errors import MalformedEvent
from schemas.events import Event
from schemas.mentions import Mention
from schemas.moments import Moment
from schemas.platforms import decoder
from schemas.watchlist import Brand
from schemas.windows import WindowBatch
from streams.brands import compile_watchlist
from streams.curate import CurateParams, CurateState, curate, needed_posts
from streams.dedup import DedupParams
from streams.detect import DetectParams, DetectState, detect
from streams.enrich import EnrichParams
from streams.ingest import Ingested, ingest, provisional, resume
from streams.records import Record
from streams.rounds import RoundState, complete_rounds
from streams.segment_table import IngestParams
from streams.segments import SegmentParams

QUIET_MS = 2 * 3_600_000
"""How long the end of the records is taken to be quiet: windows close, surges fade, moments close."""

_QUIET_STEPS_MS = (5_000, 60_000, QUIET_MS)


@dataclass(frozen=True, slots=True)
class PipelineParams:
    """Parameters of all operators; the defaults are the worker's."""

    platform: str = "canonical"
    author_key: bytes = b"drumbeat-local"
    segments: SegmentParams = field(default_factory=SegmentParams)
    dedup: DedupParams = field(default_factory=DedupParams)
    enrich: EnrichParams = field(default_factory=EnrichParams)
    detect: DetectParams = field(default_factory=DetectParams)
    curate: CurateParams = field(default_factory=CurateParams)
    kept_posts: int = 200_000  # how far back posts can be read for explanations


@dataclass(slots=True)
class PipelineOutput:
    """What some records brought about."""

    windows: list[WindowBatch] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # counted, duplicate, filtered, dead
    late_events: int = 0
    expired_events: int = 0


class Pipeline:
    """Feed records in log order; `finish` when there are no more."""

    def __init__(self, params: PipelineParams, brands: Sequence[Brand]) -> None:
        self.params = params
        self.brands = tuple(brands)
        self._watchlist = compile_watchlist(self.brands)
        self._decode = decoder(params.platform)
        self._ingest_params = IngestParams(
            sources=1,
            partitions=1,
            author_key=params.author_key,
            segments=params.segments,
            dedup=params.dedup,
            enrich=params.enrich,
        )
        self._ingest = resume(0, "raw", 0, 0, (), self._ingest_params)
        self._detect = DetectState.fresh(params.detect)
        self._rounds = RoundState()
        self._curate = CurateState()
        self._payloads: OrderedDict[int, bytes] = OrderedDict()
        self._packets = 0
        self._newest_ms = 0

    def feed(self, records: Sequence[Record]) -> PipelineOutput:
        """What these records, with all before, bring about."""
        out = PipelineOutput()
        for record in records:
            self._payloads[record.offset] = record.payload
            self._newest_ms = max(self._newest_ms, record.log_ms)
        while len(self._payloads) > self.params.kept_posts:
            self._payloads.popitem(last=False)
        self._take(ingest(self._ingest, records, self._decode, self._watchlist, self._ingest_params), out)
        return out

    def finish(self) -> PipelineOutput:
        """What is still open at the end: the stream is taken to be quiet from here on."""
        out = PipelineOutput()
        for idle_ms in _QUIET_STEPS_MS:
            now_ms = self._newest_ms + idle_ms
            self._take(provisional(self._ingest, now_ms, idle_ms, self._watchlist, self._ingest_params), out)
        open_segment = provisional(self._ingest, self._newest_ms, QUIET_MS, self._watchlist, self._ingest_params)
        out.outcomes.update(_outcomes(open_segment))
        return out

    def _take(self, done: Ingested, out: PipelineOutput) -> None:
        out.mentions += done.mentions
        out.dead_letters += done.dead_letters
        out.outcomes.update(done.outcomes)
        for packet in done.packets:
            found = detect(self._detect, packet, self._packets, self.params.detect)
            self._packets += 1
            out.windows += found.windows
            out.late_events += found.late_events
            out.expired_events += found.expired_events
            for batch in found.candidates:
                out.moments += self._moments(batch)

    def _moments(self, batch: CandidateBatch) -> list[Moment]:
        moments: list[Moment] = []
        for one in complete_rounds(self._rounds, batch):
            posts = self._read(needed_posts(self._curate, one.surges, self.params.curate, one.tick_ms))
            moments += curate(self._curate, one.tick_ms, one.surges, posts, self.brands, self.params.curate, one.tallies)
        return moments

    def _read(self, refs: Sequence[SampleRef]) -> dict[SampleRef, Event]:
        posts = {}
        for ref in refs:
            payload = self._payloads.get(ref.offset)
            if payload is None:
                continue
            try:
                event = self._decode(payload)
            except MalformedEvent:
                continue
            if isinstance(event, Event):
                posts[ref] = event
        return posts


def _outcomes(done: Ingested) -> Counter[str]:
    counts = Counter[str]()
    for packet in done.packets:
        for one in packet.segments:
            counts.update(counted=one.counted, duplicate=one.duplicates, filtered=one.filtered, dead=one.dead)
    return counts
