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
from itertools import islice
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
from streams.partition import owners_of, split
from streams.privacy import hash_authors, hash_ids
from streams.records import Columns, Record
from streams.segments import STEP_MS, Cut, Cutter, SegmentParams

Decoder = Callable[[bytes], Event | Skipped]
Content = Event | Skipped | MalformedEvent


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
    records: Columns = field(default_factory=Columns)  # of the open segment
    contents: list[Content] = field(default_factory=list)  # of the same records, decoded
    told: int = 0  # mentions and dead letters below this offset were handed out


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


class Outcomes(NamedTuple):
    """Of some records in a row."""

    records: int
    dead: int


def recent_outcomes(sightings: Sequence[SeenIds], offset: int, records: int) -> Outcomes:
    """Of at least so many records before a committed offset, if the sightings reach back that far."""
    ending_at = {one.end: one for one in sightings}
    total = dead = 0
    while total < records and (one := ending_at.get(offset)) is not None and one.start < offset:
        total, dead, offset = total + one.records, dead + one.dead, one.start
    return Outcomes(total, dead)


def ingest(
    state: IngestState, records: Sequence[Record] | Columns, decode: Decoder, watchlist: CompiledWatchlist, params: IngestParams
) -> Ingested:
    """Takes the next records of the log; raises nothing about their content."""
    fresh = records if isinstance(records, Columns) else Columns.of(records)
    state.records.extend(fresh)
    state.contents += _decode_all(decode, fresh.payloads)
    cuts = state.cutter.push_columns(fresh.offsets, fresh.times_ms, list(map(len, fresh.payloads)))
    if not cuts:
        return NOTHING
    total = sum(cut.count for cut in cuts)
    whole, state.records = state.records.split(total)
    contents, state.contents = state.contents[:total], state.contents[total:]
    return _finish(state, cuts, whole, contents, watchlist, params)


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
    table = _Table(state, [cut], state.records, state.contents, watchlist, params)
    return Ingested(table.packets(final=False, idle_ms=idle_ms), *_side_outputs(state, table, cut.end), None, None, Counter())


def _finish(
    state: IngestState,
    cuts: list[Cut],
    records: Columns,
    contents: list[Content],
    watchlist: CompiledWatchlist,
    params: IngestParams,
) -> Ingested:
    table = _Table(state, cuts, records, contents, watchlist, params)
    run = latest_sights(table.ids, table.steps)
    remember(state.seen, run, params.dedup)
    clock = cuts[-1].clock_before_ms
    outcomes = Counter[str]()
    for segment in table.segments:
        outcomes.update(counted=segment.counted, duplicate=segment.duplicates, filtered=segment.filtered, dead=segment.dead)
    seen = SeenIds(
        source=state.source,
        start=cuts[0].start,
        end=cuts[-1].end,
        clock_ms=NO_CLOCK_MS if clock is None else clock,
        ids=run.ids.astype("<u8").tobytes(),
        steps=run.steps.astype("<u4").tobytes(),
        records=outcomes.total(),
        dead=outcomes["dead"],
    )
    return Ingested(table.packets(final=True, idle_ms=0), *_side_outputs(state, table, seen.end), seen, seen.end, outcomes)


def _decode_all(decode: Decoder, payloads: list[bytes]) -> list[Content]:
    """Each payload decoded; a batch without a malformed one goes through in one loop."""
    done: list[Content] = []
    while len(done) < len(payloads):
        try:
            for payload in islice(payloads, len(done), None):
                done.append(decode(payload))  # noqa: PERF401 - what came before an error is kept
        except MalformedEvent as error:
            done.append(error)
    return done


class _Table:
    """The records of a few segments as columns, with everything that follows from them. Reads the state, never changes it."""

    def __init__(
        self,
        state: IngestState,
        cuts: list[Cut],
        records: Columns,
        contents: list[Content],
        watchlist: CompiledWatchlist,
        params: IngestParams,
    ) -> None:
        self.state, self.cuts, self.records, self.contents, self.params = state, cuts, records, contents, params
        self.times = [time for cut in cuts for time in cut.times_ms]
        of_segment = np.repeat(np.arange(len(cuts), dtype=np.uint32), [cut.count for cut in cuts])
        self.events = [content for content in contents if isinstance(content, Event)]
        all_events = len(self.events) == len(contents)
        is_event = [all_events or isinstance(content, Event) for content in contents]
        self.at = np.flatnonzero(np.array(is_event, dtype=np.bool_))
        self.ids: Ids = hash_ids((event.platform, event.id) for event in self.events)
        self.steps = np.array([cut.step_ms // STEP_MS for cut in cuts], dtype=np.uint32)[of_segment][self.at]
        self.duplicate: Flags = find_duplicates(state.seen, self.ids, self.steps, params.dedup, of_segment[self.at])
        self.kept = np.flatnonzero(~self.duplicate)  # positions in events
        self.segments = self._segments(of_segment)
        self.spoken = [i for i in self.kept.tolist() if self.events[i].kind != "delete"]
        self.said = [self.events[i] for i in self.spoken]
        self.posts = self._posts(of_segment)
        self.enriched = self._enrich(watchlist)

    def packets(self, *, final: bool, idle_ms: int) -> list[Packet]:
        """One packet per partials partition."""
        enriched = self.enriched
        posts = self.posts.with_columns(lang=enriched.lang, sentiment_milli=enriched.sentiment_milli)
        terms = enriched.terms.only(posts["kind"].is_in(list(COUNTED_KINDS)).to_numpy())
        partitions, owners = self.params.partitions, owners_of(terms.vocabulary, self.params.partitions)
        rows, facets = (
            split(counted.rows, owners[counted.codes], partitions)
            for counted in (count_terms(posts, terms, self.state.source), count_facets(posts, terms))
        )
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
            for number in range(partitions)
        ]

    def mentions(self) -> list[tuple[int, Mention]]:
        """(offset, mention) of posts that name a brand, and of every delete."""
        found = [self._forget(i) for i in self.kept.tolist() if self.events[i].kind == "delete"]
        brands = self.enriched.brands.group_by("row", maintain_order=True).agg("brand")
        if brands.height:
            names_brand = np.zeros(self.posts.height, dtype=np.bool_)
            names_brand[brands["row"].to_numpy()] = True
            terms = self.enriched.terms.only(names_brand).frame().group_by("row", maintain_order=True).agg("term")
            of_row = dict(terms.iter_rows())
            posts = self.posts.with_columns(lang=self.enriched.lang, sentiment_milli=self.enriched.sentiment_milli)
            found += [self._mention(row, names, of_row[row], posts.row(row, named=True)) for row, names in brands.iter_rows()]
        return sorted(found, key=lambda pair: pair[0])

    def dead_letters(self) -> list[DeadLetter]:
        """Records that could not be decoded."""
        topic, partition, records = self.state.topic, self.state.partition, self.records
        return [
            DeadLetter.of(content, topic, partition, records.offsets[at], records.times_ms[at], records.payloads[at])
            for at, content in enumerate(self.contents)
            if isinstance(content, MalformedEvent)
        ]

    def _segments(self, of_segment: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> tuple[Segment, ...]:
        count = len(self.cuts)
        dead = np.array([isinstance(content, MalformedEvent) for content in self.contents], dtype=np.bool_)
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
        events, at = self.said, self.at[self.spoken]
        platform = pl.Series("platform", [event.platform for event in events], dtype=pl.String)
        author = pl.Series("author", [event.author for event in events], dtype=pl.String)
        frame = pl.DataFrame(
            {
                "segment": of_segment[at],
                "created_ms": pl.Series([event.created_ms for event in events], dtype=pl.Int64),
                "log_ms": np.array(self.times, dtype=np.int64)[at],
                "kind": pl.Series([event.kind for event in events], dtype=pl.String),
                "platform": platform,
                "community": pl.Series([event.community for event in events], dtype=pl.String),
                "lang": pl.Series([event.lang for event in events], dtype=pl.String),
                "author_hash": hash_authors(platform, author, self.params.author_key),
                "followers": pl.Series([event.followers for event in events], dtype=pl.Int64),
                "sentiment_milli": pl.Series([None], dtype=pl.Int64).new_from_index(0, len(events)),
                "offset": np.array(self.records.offsets, dtype=np.int64)[at],
            }
        )
        return frame.with_columns(event_ms=event_times(pl.col("created_ms"), pl.col("log_ms"))).select(list(POSTS))

    def _enrich(self, watchlist: CompiledWatchlist) -> Enriched:
        events = self.said
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
        return self.records.offsets[self.at[i]], mention

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
        return self.records.offsets[position], mention


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
