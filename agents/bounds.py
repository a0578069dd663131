"""Everything in a worker that could grow: what bounds it, how much that is, what happens there, and how full it is right now.

`BOUNDS` is the list; the gauges and the table in deploy/OPERATIONS.md are made from it. A worker reports the fullest of its
partitions, once a second, between two batches: then nobody is at work on the state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from mode import Service

from agents.app import CHANNEL_BATCHES
from agents.detect import DetectHandler
from agents.metrics import AGENTS, Metrics
from agents.outbox import DEPTH
from agents.page_feed import MAX_BROWSERS, QUEUE, WAITING_BYTES
from agents.page_view import KEEP_WINDOWS, MAX_MOMENTS, MAX_TERMS_PER_WINDOW
from agents.posts_reader import CACHED_BYTES, CACHED_POSTS
from agents.recent_posts import KEPT_BYTES
from agents.source import RecordSource
from agents.store import FLUSH_BYTES, FLUSH_ROWS
from agents.watchlist_follower import MAX_BRANDS
from streams.alignment import AlignmentParams
from streams.curate_state import CurateParams
from streams.dedup import DedupParams
from streams.detect import BATCH_ROWS
from streams.enrich import EnrichParams
from streams.recent_tables import KEPT_BYTES as TABLE_BYTES
from streams.rounds import MAX_WAITING
from streams.segments import SegmentParams
from streams.surge_params import SurgeParams
from streams.talk import MAX_TERMS, MAX_WORDS
from streams.told import MAX_TOLD
from streams.window_state import WindowParams

EVERY_S = 1.0

WhenFull = Literal["waits", "gives way", "renews"]
"""waits: what fills it stops meanwhile; gives way: something is done that nobody wants, see the text; renews: it is meant to be
full, the oldest or least makes room."""


class Bound(NamedTuple):
    """One thing that could grow."""

    what: str
    cap: int
    holds: str
    size: str  # at the cap
    full: WhenFull
    then: str  # what happens at the cap


_SEGMENTS, _ALIGNMENT, _WINDOWS, _SURGES, _CURATE = (
    SegmentParams(),
    AlignmentParams(),
    WindowParams(),
    SurgeParams(),
    CurateParams(),
)
_SOURCE = "nothing is read; fetch buffers hold one answer per partition and no more"
_OUTBOX = "the agent waits for acknowledgements, and reads no more"

BOUNDS = (
    *(
        Bound(f"{name}_batches", CHANNEL_BATCHES, "batches before the agent", "4 MB a partition and batch", "waits", _SOURCE)
        for name in AGENTS
    ),
    Bound(
        "ingest_outbox",
        DEPTH,
        "posts under way",
        "offsets; the producer has two batches a partition, 32 MB at most",
        "waits",
        _OUTBOX,
    ),
    Bound(
        "ingest_open_records",
        2 * _SEGMENTS.segment_records,
        "records of the open segment, and those held back while a jump of the log clock is undecided",
        "48 MB, decoded",
        "renews",
        "the segment is cut; of too many held records the jump is denied",
    ),
    Bound(
        "ingest_open_bytes",
        2 * _SEGMENTS.segment_bytes,
        "bytes of the same",
        "16 MB, and as much decoded",
        "renews",
        "as the line above",
    ),
    Bound(
        "ingest_remembered_ids",
        DedupParams().max_ids,
        "ids of a raw partition within the horizon",
        "240 to 300 MB",
        "gives way",
        "the oldest are forgotten sooner: a copy of such a post is counted again",
    ),
    Bound(
        "ingest_recent_bytes",
        KEPT_BYTES,
        "raw records just read, for curate in the same worker",
        "64 MB",
        "renews",
        "curate reads older ones back from the broker",
    ),
    Bound(
        "ingest_recent_tables",
        TABLE_BYTES,
        "bytes of packets' tables just packed, for detect in the same worker",
        "64 MB",
        "renews",
        "detect unpacks what the broker sends",
    ),
    Bound("detect_outbox", DEPTH, "posts under way", "as ingest_outbox", "waits", _OUTBOX),
    Bound(
        "detect_pending_segments",
        _ALIGNMENT.max_pending,
        "segments that wait for a source behind the others",
        "200 MB",
        "gives way",
        "the oldest go on without it: its events of that time are late, counted exactly, and unseen by the detector",
    ),
    Bound("detect_pending_rows", _ALIGNMENT.max_pending_rows, "rows of the same", "400 MB", "gives way", "as the line above"),
    Bound(
        "detect_provisional_rows",
        2 * _SEGMENTS.segment_records * EnrichParams().max_terms_per_post * 4,
        "rows of a source's open segment, of which there are two: as told last, and as counted",
        "200 bytes a row; the segment's records bound it far below that",
        "renews",
        "replaced by the next",
    ),
    Bound(
        "detect_open_rows",
        _WINDOWS.max_open_rows,
        "cells and facets of open windows",
        "300 MB, 1.3 GB if all had 64 authors",
        "gives way",
        "the oldest windows close early: what still comes corrects them, unwatched terms that had too little support stay left out",
    ),
    Bound(
        "detect_sent_rows",
        _WINDOWS.max_open_rows,
        "keys of open rows that a pause has stored already",
        "80 MB",
        "renews",
        "gone with their windows, of which the line above speaks",
    ),
    Bound(
        "detect_retained_rows",
        _WINDOWS.max_retained_rows,
        "stored cells and facets of closed windows",
        "400 MB, 1.3 GB if all had 64 authors",
        "gives way",
        "the oldest windows are forgotten early: late events become rows beside them, sums stay exact",
    ),
    Bound(
        "detect_terms",
        _SURGES.max_terms,
        "terms with exact recent counts",
        "60 MB",
        "renews",
        "the least active become hashed pasts",
    ),
    Bound(
        "detect_hashed_cells",
        _SURGES.hashed_cells,
        "cells of hashed pasts",
        "2.6 MB",
        "renews",
        "terms share cells; the larger past counts",
    ),
    Bound(
        "detect_tracks",
        _SURGES.max_tracks,
        "terms nobody watches that are followed in detail",
        "400 MB; 40 MB as a rule",
        "gives way",
        "a term that may surge takes the place of the one cold for longest; a merely warm one is not followed",
    ),
    Bound(
        "detect_watched_tracks",
        _SURGES.max_tracks + _SURGES.max_watched,
        "brands that are followed in detail",
        "1.4 GB; 100 MB as a rule",
        "gives way",
        "a further brand is counted and stored, but cannot surge; counted with detect_tracks",
    ),
    Bound("curate_outbox", DEPTH, "alerts under way", "1 MB", "waits", _OUTBOX),
    Bound(
        "curate_rounds",
        MAX_WAITING,
        "surges that wait for a detect partition",
        "120 MB",
        "gives way",
        "the oldest tick is curated without it; what that partition says later belongs to a later tick",
    ),
    Bound(
        "curate_waiting", _CURATE.max_waiting, "surges without a moment", "6 MB", "gives way", "the least surprising are forgotten"
    ),
    Bound("curate_open", _CURATE.max_open, "open moments", "250 MB", "gives way", "no further moment opens until one closes"),
    Bound(
        "curate_cooling",
        _CURATE.max_open,
        "closed moments that cool down",
        "20 MB",
        "gives way",
        "the oldest is forgotten: its terms may open again",
    ),
    Bound("curate_talk_words", MAX_WORDS, "words of all talk", "3 MB", "renews", "the rarest are forgotten"),
    Bound(
        "curate_talk_terms",
        MAX_TERMS,
        "terms whose talk is kept, 300 words each",
        "8 MB",
        "renews",
        "the longest unheard is forgotten",
    ),
    Bound("curate_posts", CACHED_POSTS, "posts read back", "20 MB", "renews", "the oldest are read again if need be"),
    Bound("curate_posts_bytes", CACHED_BYTES, "bytes of their texts and links", "64 to 256 MB", "renews", "as the line above"),
    Bound(
        "curate_told",
        MAX_TOLD,
        "alerts sent since the checkpoint that was loaded",
        "20 MB, 5 kB per moment",
        "gives way",
        "the oldest may be sent once more, same id and body",
    ),
    Bound(
        "watchlist_brands",
        MAX_BRANDS,
        "brands, of at most 64 kB each",
        "650 MB; 10 MB as a rule",
        "gives way",
        "a further brand is left out, and the log says so",
    ),
    Bound(
        "store_rows",
        FLUSH_ROWS + 3 * BATCH_ROWS,
        "rows on their way to ClickHouse",
        "64 MB",
        "waits",
        "they are inserted; while ClickHouse is away nothing is read",
    ),
    Bound("store_bytes", 2 * FLUSH_BYTES, "bytes of the same", "64 MB and one record", "waits", "as the line above"),
    Bound("page_browsers", MAX_BROWSERS, "browsers that listen", "64 messages each, shared", "renews", "the next is refused"),
    Bound(
        "page_messages", QUEUE, "messages that a browser has not read", "3 MB", "renews", "it is dropped, and comes back by itself"
    ),
    Bound(
        "page_waiting_bytes", WAITING_BYTES, "bytes of windows while no browser listens", "8 MB", "renews", "the oldest record goes"
    ),
    Bound(
        "page_cells",
        (KEEP_WINDOWS + 1) * MAX_TERMS_PER_WINDOW,
        "terms in the page's windows",
        "50 MB",
        "renews",
        "the oldest window goes; further terms of a window are not shown",
    ),
    Bound("page_moments", MAX_MOMENTS, "moments on the page", "1 MB", "renews", "the oldest closed one goes"),
)

GIVING_WAY = tuple(bound.what for bound in BOUNDS if bound.full == "gives way")


@runtime_checkable
class Measured(Protocol):
    """What says how full it is."""

    def used(self) -> Mapping[str, int]:
        """By `Bound.what`."""


@runtime_checkable
class Counting(Protocol):
    """What counts how often it gave way at a bound."""

    def given_way(self) -> Mapping[str, int]:
        """By `Bound.what`; starts again at 0 when partitions are taken away."""


class Bounds:
    """The gauges of all bounds; caps are told at start, so that a zero is a zero."""

    def __init__(self, metrics: Metrics) -> None:
        self._used, self._given_way = metrics.bound_used, metrics.bound_given_way
        self._full = {bound.what: bound.full.replace(" ", "_") for bound in BOUNDS}
        self._before: dict[str, int] = {}
        for bound in BOUNDS:
            metrics.bound_cap.labels(bound.what, self._full[bound.what]).set(bound.cap)
            self._used.labels(bound.what, self._full[bound.what])
        for what in GIVING_WAY:
            self._given_way.labels(what)

    def report(self, part: object) -> None:
        """Takes what the part says of itself."""
        if isinstance(part, Measured):
            for what, used in part.used().items():
                self._used.labels(what, self._full[what]).set(used)
        if isinstance(part, Counting):
            for what, total in part.given_way().items():
                self._given_way.labels(what).inc(max(total - self._before.get(what, 0), 0))
                self._before[what] = total


class BoundsReport(Service):
    """Reports every part once a second; agents while they handle no batch, but for detect, whose batches can take minutes."""

    def __init__(self, bounds: Bounds, sources: Sequence[RecordSource], others: Sequence[object]) -> None:
        super().__init__()
        self.bounds, self.sources, self.others = bounds, sources, others

    @Service.task
    async def _report(self) -> None:
        await asyncio.gather(*(self._every_second(source) for source in self.sources), self._every_second(None))

    async def _every_second(self, source: RecordSource | None) -> None:
        report: Callable[[object], None] = self.bounds.report
        while not self.should_stop:
            if source is None:
                for part in self.others:
                    report(part)
            else:
                report(Channel(source))
                async with nullcontext() if isinstance(source.handler, DetectHandler) else source.lock:
                    report(source.handler)
            await self.sleep(EVERY_S)


class Channel(NamedTuple):
    """What is between a source and its agent."""

    source: RecordSource

    def used(self) -> Mapping[str, int]:
        """Batches that the agent has not taken: they wait with it, who subscribes to the channel, not on the channel itself."""
        waiting = [subscriber.queue.qsize() for subscriber in self.source.channel._subscribers]
        return {f"{self.source.name}_batches": max(waiting, default=0)}


def bounds_table() -> str:
    """All bounds as a Markdown table."""
    rows = [f"| `{one.what}` | {one.holds} | {one.cap:,} | {one.size} | {one.full}: {one.then} |" for one in BOUNDS]
    return "\n".join(["| what | holds | cap | size at the cap | at the cap |", "|---|---|---|---|---|", *rows]) + "\n"
