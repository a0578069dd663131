"""Ingest of one raw partition: decode, deduplicate, enrich, count; every output a function of the log.

`ingest` takes the next records and returns what the segments that they ended must send; only when all of that is
acknowledged may `commit_offset` be committed. `provisional` says what the open segment holds so far. Both may repeat
mentions and dead letters after a crash (same content), never within one life of the state.

State is bounded by one open segment and the dedup horizon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from schemas import frames
from schemas.dead_letters import DeadLetter
from schemas.errors import MalformedEvent
from schemas.events import COUNTED_KINDS, Event, Skipped
from schemas.mentions import DELETED_VERSION, Mention
from schemas.packets import NO_CLOCK_MS, Packet, Segment
from schemas.seen import SeenIds
from streams.brands import CompiledWatchlist
from streams.counts import POSTS, count_facets, count_terms, event_times
from streams.dedup import DedupParams, Flags, Ids, Seen, find_duplicates, latest_sights, remember
from streams.enrich import Enriched, EnrichParams, enrich
from streams.partition import split
from streams.privacy import hash_authors, hash_ids
from streams.segments import STEP_MS, Cut, Cutter, SegmentParams, Stamp

Decoder = Callable[[bytes], Event | Skipped]


class Record(NamedTuple):
    """One record of the raw log."""

    offset: int
    log_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class IngestParams:
    """How to ingest, for all raw partitions."""

    sources: int  # raw partitions in all
    partitions: int  # of the partials topic
    author_key: bytes
    segments: SegmentParams = field(default_factory=SegmentParams)
    dedup: DedupParams = field(default_factory=DedupParams)
    enrich: EnrichParams = field(default_factory=EnrichParams)


@dataclass(slots=True)
class IngestState:
    """One raw partition, owned by the caller; `resume` makes it."""

    source: int
    topic: str
    partition: int
    cutter: Cutter
    seen: Seen
    entries: list[Entry] = field(default_factory=list)  # of the open segment
    told: int = 0  # mentions and dead letters below this offset were handed out


class Entry(NamedTuple):
    """A record after decoding."""

    record: Record
    content: Event | Skipped | MalformedEvent


@dataclass(frozen=True, slots=True)
class Ingested:
    """What to send, and, for finished segments, where to commit once it is acknowledged."""

    packets: list[Packet]  # one per partials partition, in order; empty: nothing to send
    mentions: list[Mention]
    dead_letters: list[DeadLetter]
    seen: SeenIds | None
    commit_offset: int | None
    outcomes: Counter[str]  # counted, duplicate, filtered, dead; of finished segments


NOTHING = Ingested([], [], [], None, None, Counter())


def resume(source: int, topic: str, partition: int, offset: int, sightings: Sequence[SeenIds], params: IngestParams) -> IngestState:
    """State at a committed offset, from the `social.seen` records that end at or before it."""
    own = sorted((one for one in sightings if one.source == source and one.end <= offset), key=lambda one: one.end)
    clock = own[-1].clock_ms if own and own[-1].end == offset and own[-1].clock_ms != NO_CLOCK_MS else None
    seen = Seen()
    if own:
        ids = np.concatenate([np.frombuffer(one.ids, dtype="<u8") for one in own]).astype(np.uint64)
        steps = np.concatenate([np.frombuffer(one.steps, dtype="<u4") for one in own]).astype(np.uint32)
        remember(seen, latest_sights(ids, steps), params.dedup)
    return IngestState(source, topic, partition, Cutter(offset, clock, params.segments), seen)


def ingest(
    state: IngestState, records: Sequence[Record], decode: Decoder, watchlist: CompiledWatchlist, params: IngestParams
) -> Ingested:
    """Takes the next records of the log; raises nothing about their content."""
    state.entries.extend(Entry(record, _decode(decode, record.payload)) for record in records)
    cuts = state.cutter.push(Stamp(record.offset, record.log_ms, len(record.payload)) for record in records)
    if not cuts:
        return NOTHING
    total = sum(cut.count for cut in cuts)
    entries, state.entries = state.entries[:total], state.entries[total:]
    return _finish(state, cuts, entries, watchlist, params)


def provisional(state: IngestState, now_ms: int, idle_ms: int, watchlist: CompiledWatchlist, params: IngestParams) -> Ingested:
    """The open segment so far; also says that the source is there when nothing is open. Does not change the counts' state."""
    cutter = state.cutter
    times = tuple(cutter.open_times(now_ms))
    clock = max([*times, cutter.clock_ms if cutter.clock_ms is not None else NO_CLOCK_MS])
    if not times:
        step = clock if clock == NO_CLOCK_MS else clock // STEP_MS * STEP_MS
        packet = Packet(
            source=state.source,
            sources=params.sources,
            final=False,
            idle_ms=idle_ms,
            segments=(Segment(cutter.start, cutter.start, step, clock),),
        )
        return Ingested([packet] * params.partitions, [], [], None, None, Counter())
    cut = Cut(cutter.start, cutter.open_end(), clock // STEP_MS * STEP_MS, cutter.clock_ms, clock, times)
    table = _Table(state, [cut], state.entries, watchlist, params)
    return Ingested(table.packets(final=False, idle_ms=idle_ms), *_side_outputs(state, table, cut.end), None, None, Counter())


def _finish(
    state: IngestState, cuts: list[Cut], entries: list[Entry], watchlist: CompiledWatchlist, params: IngestParams
) -> Ingested:
    table = _Table(state, cuts, entries, watchlist, params)
    run = latest_sights(table.ids, table.steps)
    remember(state.seen, run, params.dedup)
    clock = cuts[-1].clock_before_ms
    seen = SeenIds(
        source=state.source,
        start=cuts[0].start,
        end=cuts[-1].end,
        clock_ms=NO_CLOCK_MS if clock is None else clock,
        ids=run.ids.astype("<u8").tobytes(),
        steps=run.steps.astype("<u4").tobytes(),
    )
    outcomes = Counter[str]()
    for segment in table.segments:
        outcomes.update(counted=segment.counted, duplicate=segment.duplicates, filtered=segment.filtered, dead=segment.dead)
    return Ingested(table.packets(final=True, idle_ms=0), *_side_outputs(state, table, seen.end), seen, seen.end, outcomes)


def _decode(decode: Decoder, payload: bytes) -> Event | Skipped | MalformedEvent:
    try:
        return decode(payload)
    except MalformedEvent as error:
        return error


class _Table:
    """The entries of a few segments as columns, with everything that follows from them. Reads the state, never changes it."""

    def __init__(
        self, state: IngestState, cuts: list[Cut], entries: list[Entry], watchlist: CompiledWatchlist, params: IngestParams
    ) -> None:
        self.state, self.cuts, self.entries, self.params = state, cuts, entries, params
        self.times = [time for cut in cuts for time in cut.times_ms]
        of_segment = np.repeat(np.arange(len(cuts), dtype=np.uint32), [cut.count for cut in cuts])
        at = [position for position, entry in enumerate(entries) if isinstance(entry.content, Event)]
        self.events = [entry.content for entry in entries if isinstance(entry.content, Event)]
        self.at = np.array(at, dtype=np.int64)
        self.ids: Ids = hash_ids([f"{event.platform}:{event.id}" for event in self.events])
        self.steps = np.array([cut.step_ms // STEP_MS for cut in cuts], dtype=np.uint32)[of_segment][self.at]
        self.duplicate: Flags = find_duplicates(state.seen, self.ids, self.steps, params.dedup)
        self.kept = np.flatnonzero(~self.duplicate)  # positions in events
        self.segments = self._segments(of_segment)
        self.spoken = [int(i) for i in self.kept if self.events[i].kind != "delete"]
        self.posts = self._posts(of_segment)
        self.enriched = self._enrich(watchlist)

    def packets(self, *, final: bool, idle_ms: int) -> list[Packet]:
        """One packet per partials partition."""
        enriched = self.enriched
        posts = self.posts.with_columns(lang=enriched.lang, sentiment_milli=enriched.sentiment_milli)
        counted = posts.with_row_index("row").filter(pl.col("kind").is_in(list(COUNTED_KINDS))).select("row")
        terms = enriched.terms.join(counted, on="row", how="semi")
        rows = split(count_terms(posts, terms, self.state.source), self.params.partitions)
        facets = split(count_facets(posts, terms), self.params.partitions)
        return [
            Packet(
                source=self.state.source,
                sources=self.params.sources,
                final=final,
                segments=self.segments,
                idle_ms=idle_ms,
                terms=frames.to_bytes(rows[number]) if rows[number].height else b"",
                facets=frames.to_bytes(facets[number]) if facets[number].height else b"",
            )
            for number in range(self.params.partitions)
        ]

    def mentions(self) -> list[tuple[int, Mention]]:
        """(offset, mention) of posts that name a brand, and of every delete."""
        found = [self._forget(int(i)) for i in self.kept if self.events[i].kind == "delete"]
        brands = self.enriched.brands.group_by("row", maintain_order=True).agg("brand")
        if brands.height:
            terms = self.enriched.terms.join(brands, on="row", how="semi").group_by("row", maintain_order=True).agg("term")
            of_row = dict(terms.iter_rows())
            posts = self.posts.with_columns(lang=self.enriched.lang, sentiment_milli=self.enriched.sentiment_milli)
            found += [self._mention(row, names, of_row[row], posts.row(row, named=True)) for row, names in brands.iter_rows()]
        return sorted(found, key=lambda pair: pair[0])

    def dead_letters(self) -> list[DeadLetter]:
        """Records that could not be decoded."""
        return [
            DeadLetter(
                entry.content.reason,
                entry.content.detail,
                self.state.topic,
                self.state.partition,
                entry.record.offset,
                entry.record.log_ms,
                entry.record.payload,
            )
            for entry in self.entries
            if isinstance(entry.content, MalformedEvent)
        ]

    def _segments(self, of_segment: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> tuple[Segment, ...]:
        count = len(self.cuts)
        dead = np.array([isinstance(entry.content, MalformedEvent) for entry in self.entries], dtype=np.bool_)
        voice = np.array([event.kind in COUNTED_KINDS for event in self.events], dtype=np.bool_)
        mine = of_segment[self.at]
        deads = np.bincount(of_segment[dead], minlength=count)
        duplicates = np.bincount(mine[self.duplicate], minlength=count)
        counted = np.bincount(mine[voice & ~self.duplicate], minlength=count)
        return tuple(
            Segment(
                start=cut.start,
                end=cut.end,
                step_ms=cut.step_ms,
                clock_ms=cut.clock_ms,
                records=cut.count,
                counted=int(counted[number]),
                duplicates=int(duplicates[number]),
                filtered=cut.count - int(counted[number]) - int(duplicates[number]) - int(deads[number]),
                dead=int(deads[number]),
            )
            for number, cut in enumerate(self.cuts)
        )

    def _posts(self, of_segment: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> pl.DataFrame:
        events = [self.events[i] for i in self.spoken]
        at = self.at[self.spoken]
        platform = pl.Series("platform", [event.platform for event in events], dtype=pl.String)
        author = pl.Series("author", [event.author for event in events], dtype=pl.String)
        frame = pl.DataFrame(
            {
                "segment": of_segment[at],
                "created_ms": pl.Series([event.created_ms for event in events], dtype=pl.Int64),
                "log_ms": pl.Series([self.times[position] for position in at], dtype=pl.Int64),
                "kind": pl.Series([event.kind for event in events], dtype=pl.String),
                "platform": platform,
                "community": pl.Series([event.community for event in events], dtype=pl.String),
                "lang": pl.Series([event.lang for event in events], dtype=pl.String),
                "author_hash": hash_authors(platform, author, self.params.author_key),
                "followers": pl.Series([event.followers for event in events], dtype=pl.Int64),
                "sentiment_milli": pl.Series([None] * len(events), dtype=pl.Int64),
                "id_hash": self.ids[self.spoken],
                "offset": pl.Series([self.entries[position].record.offset for position in at], dtype=pl.Int64),
            }
        )
        return frame.with_columns(event_ms=event_times(pl.col("created_ms"), pl.col("log_ms"))).select(list(POSTS))

    def _enrich(self, watchlist: CompiledWatchlist) -> Enriched:
        events = [self.events[i] for i in self.spoken]
        frame = pl.DataFrame(
            {
                "text": pl.Series([event.text for event in events], dtype=pl.String),
                "lang": pl.Series([event.lang for event in events], dtype=pl.String),
                "tags": _lists([event.tags for event in events]),
                "mentions": _lists([event.mentions for event in events]),
                "links": _lists([event.links for event in events]),
            }
        )
        return enrich(frame, watchlist, self.params.enrich)

    def _forget(self, i: int) -> tuple[int, Mention]:
        event = self.events[i]
        mention = Mention(
            post_id=event.post_id, platform=event.platform, version=DELETED_VERSION, deleted=True, kind="delete", event_ms=0
        )
        return self.entries[self.at[i]].record.offset, mention

    def _mention(self, row: int, brands: list[str], terms: list[str], post: dict[str, object]) -> tuple[int, Mention]:
        i = self.spoken[row]
        event, position = self.events[i], int(self.at[i])
        mention = Mention(
            post_id=event.post_id,
            platform=event.platform,
            version=self.times[position],
            kind=event.kind,
            brands=tuple(brands),
            event_ms=post["event_ms"],  # type: ignore[arg-type]  # rows of POSTS are untyped dicts
            text=event.text,
            lang=post["lang"],  # type: ignore[arg-type]  # as above
            author_hash=post["author_hash"],  # type: ignore[arg-type]  # as above
            followers=event.followers,
            sentiment_milli=post["sentiment_milli"],  # type: ignore[arg-type]  # as above
            url=event.url,
            community=event.community,
            terms=tuple(terms),
        )
        return self.entries[position].record.offset, mention


def _side_outputs(state: IngestState, table: _Table, end: int) -> tuple[list[Mention], list[DeadLetter]]:
    mentions = [mention for offset, mention in table.mentions() if offset >= state.told]
    dead = [letter for letter in table.dead_letters() if letter.offset >= state.told]
    state.told = max(state.told, end)
    return mentions, dead


def _lists(values: list[tuple[str, ...]]) -> pl.Series:
    """The tuples as a list column; most are empty, and polars takes 10 µs to look into one from Python."""
    nothing = pl.Series([[]], dtype=pl.List(pl.String))
    flat = [text for value in values for text in value]
    if not flat:
        return nothing.new_from_index(0, len(values))
    row = np.repeat(np.arange(len(values)), [len(value) for value in values])
    filled = pl.DataFrame({"row": row, "texts": flat}).group_by("row", maintain_order=True).agg("texts")
    rows = pl.DataFrame({"row": np.arange(len(values))})
    return rows.join(filled, on="row", how="left", maintain_order="left")["texts"].fill_null(nothing)
