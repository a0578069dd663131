"""The records of some segments as columns, with everything that follows from them, for several raw partitions at a time.

A pass takes about 11 ms before it looks at a record, so the segments of all partitions that end together share one. What it says
of a segment depends on that segment and the dedup memory of its partition, never on the others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from typing import get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import frames
from schemas.dead_letters import DeadLetter
from schemas.errors import MalformedEvent
from schemas.events import COUNTED_KINDS, Event, Kind, Skipped
from schemas.mentions import DELETED_VERSION, Mention
from schemas.packets import Packet, Segment
from streams.brands import CompiledWatchlist
from streams.counts import POSTS, count_facets, count_terms, event_times
from streams.dedup import DedupParams, Flags, Ids, Run, Seen, Steps, find_duplicates, latest_sights
from streams.enrich import Enriched, EnrichParams, enrich
from streams.partition import owners_of, split
from streams.privacy import hash_authors, hash_ids
from streams.records import Columns
from streams.segments import STEP_MS, Cut, SegmentParams

Content = Event | Skipped | MalformedEvent

_KINDS = pl.Series("kind", get_args(Kind), dtype=pl.String)
_NUMBER_OF = {kind: number for number, kind in enumerate(_KINDS)}
_IS_VOICE = np.array([kind in COUNTED_KINDS for kind in _KINDS], dtype=np.bool_)
_IS_SAID = np.array([kind != "delete" for kind in _KINDS], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class IngestParams:
    """How to ingest, for all raw partitions."""

    sources: int  # raw partitions in all
    partitions: int  # of the partials topic
    author_key: bytes
    segments: SegmentParams = field(default_factory=SegmentParams)
    dedup: DedupParams = field(default_factory=DedupParams)
    enrich: EnrichParams = field(default_factory=EnrichParams)
    pack: Callable[[pl.DataFrame], bytes] = frames.to_bytes  # tables of packets


@dataclass(frozen=True, slots=True)
class Part:
    """Segments of one raw partition, in order, and their records. Read, never changed."""

    source: int
    topic: str
    partition: int
    seen: Seen
    cuts: Sequence[Cut]
    records: Columns
    contents: Sequence[Content]  # of the same records, decoded


class SegmentTable:
    """What follows from the parts; methods take the number of a part."""

    def __init__(self, parts: Sequence[Part], watchlist: CompiledWatchlist, params: IngestParams) -> None:
        self.parts, self.params = parts, params
        cuts = [cut for part in parts for cut in part.cuts]
        self.times = [time for cut in cuts for time in cut.times_ms]
        self.offsets = np.concatenate([np.array(part.records.offsets, dtype=np.int64) for part in parts])
        self.contents = list(chain.from_iterable(part.contents for part in parts))
        self.first_segments = [0, *accumulate(len(part.cuts) for part in parts)]
        self.of_segment = np.repeat(np.arange(len(cuts), dtype=np.uint32), [cut.count for cut in cuts])
        self.of_source = np.repeat(np.array([part.source for part in parts], np.uint32), [len(part.records) for part in parts])
        self.events: list[Event] = [content for content in self.contents if content.__class__ is Event]
        self.at = np.arange(len(self.contents))
        if len(self.events) < len(self.contents):
            self.at = np.flatnonzero([content.__class__ is Event for content in self.contents])
        self.first_records = [0, *accumulate(len(part.records) for part in parts)]
        self.first_events = np.searchsorted(self.at, self.first_records).tolist()
        self.kinds = np.array([_NUMBER_OF[event.kind] for event in self.events], dtype=np.uint8)
        self.ids: Ids = hash_ids([event.platform for event in self.events], [event.id for event in self.events])
        self.steps: Steps = np.array([cut.step_ms // STEP_MS for cut in cuts], dtype=np.uint32)[self.of_segment][self.at]
        self.duplicate = self._duplicates()
        self.kept = np.flatnonzero(~self.duplicate)  # positions in events
        self.segments = self._segments(cuts)
        is_said = _IS_SAID[self.kinds[self.kept]]
        self.spoken, self.deleted = self.kept[is_said], self.kept[~is_said]
        self.said = [self.events[i] for i in self.spoken.tolist()] if len(self.spoken) < len(self.events) else self.events
        self.enriched = self._enrich(watchlist)
        self.posts = self._posts()

    def segments_of(self, part: int) -> tuple[Segment, ...]:
        """What is told of its segments."""
        return self.segments[self.first_segments[part] : self.first_segments[part + 1]]

    def sightings(self, part: int) -> Run:
        """The ids of its events."""
        mine = slice(self.first_events[part], self.first_events[part + 1])
        return latest_sights(self.ids[mine], self.steps[mine])

    def packets(self, *, final: bool, idle_ms: Sequence[int]) -> list[list[Packet]]:
        """Per part, one packet per partials partition."""
        terms = self.enriched.terms.only(_IS_VOICE[self.kinds[self.spoken]])
        partitions, pack = self.params.partitions, self.params.pack
        owners = owners_of(terms.vocabulary, partitions)
        rows, facets = (
            [self._of_parts(counted.rows, places) for places in split(owners[counted.codes], partitions)]
            for counted in (count_terms(self.posts, terms), count_facets(self.posts, terms))
        )
        return [
            [
                Packet(
                    source=part.source,
                    sources=self.params.sources,
                    final=final,
                    segments=self.segments_of(number),
                    idle_ms=idle_ms[number],
                    terms=pack(rows[partition][number]) if rows[partition][number].height else b"",
                    facets=pack(facets[partition][number]) if facets[partition][number].height else b"",
                )
                for partition in range(partitions)
            ]
            for number, part in enumerate(self.parts)
        ]

    def mentions(self) -> list[list[tuple[int, Mention]]]:
        """Per part, (offset, mention) of posts that name a brand, and of every delete, in their order."""
        found = [self._forget(i) for i in self.deleted.tolist()]
        brands = self.enriched.brands.group_by("row", maintain_order=True).agg("brand")
        if brands.height:
            names_brand = np.zeros(self.posts.height, dtype=np.bool_)
            names_brand[brands["row"].to_numpy()] = True
            terms = self.enriched.terms.only(names_brand).frame().group_by("row", maintain_order=True).agg("term")
            of_row = dict(terms.iter_rows())
            named = self.posts[brands["row"]]
            found += [
                self._mention(row, names, of_row[row], post)
                for (row, names), post in zip(brands.iter_rows(), named.iter_rows(named=True), strict=True)
            ]
        of_part: list[list[tuple[int, Mention]]] = [[] for _ in self.parts]
        for at, mention in sorted(found, key=lambda pair: pair[0]):
            of_part[bisect_right(self.first_records, at) - 1].append((int(self.offsets[at]), mention))
        return of_part

    def dead_letters(self, part: int) -> list[DeadLetter]:
        """Its records that could not be decoded."""
        if len(self.events) == len(self.contents):
            return []
        whose = self.parts[part]
        records = whose.records
        return [
            DeadLetter.of(content, whose.topic, whose.partition, records.offsets[at], records.times_ms[at], records.payloads[at])
            for at, content in enumerate(whose.contents)
            if isinstance(content, MalformedEvent)
        ]

    def _of_parts(self, rows: pl.DataFrame, places: npt.NDArray[np.intp]) -> list[pl.DataFrame]:
        """The rows of each part that are at these places, its first segment as number 0; copied, as one may be kept for long."""
        first = self.first_segments
        bounds = np.searchsorted(rows["segment"].to_numpy()[places], first).tolist()
        tables = [rows[places[start:end]] for start, end in pairwise(bounds)]
        return [one.with_columns(pl.col("segment") - first[part]) if first[part] else one for part, one in enumerate(tables)]

    def _duplicates(self) -> Flags:
        segments = self.of_segment[self.at]
        found = []
        for part, (start, end) in zip(self.parts, pairwise(self.first_events), strict=True):
            mine = slice(start, end)
            found.append(find_duplicates(part.seen, self.ids[mine], self.steps[mine], self.params.dedup, segments[mine]))
        return np.concatenate(found)

    def _segments(self, cuts: Sequence[Cut]) -> tuple[Segment, ...]:
        count, of_segment = len(cuts), self.of_segment
        dead = np.zeros(len(self.contents), np.bool_)
        if len(self.events) < len(self.contents):
            dead[:] = [isinstance(content, MalformedEvent) for content in self.contents]
        voice, mine = _IS_VOICE[self.kinds], of_segment[self.at]
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
            for number, cut in enumerate(cuts)
        )

    def _posts(self) -> pl.DataFrame:
        events, at = self.said, self.at[self.spoken]
        platforms = [event.platform for event in events]
        frame = pl.DataFrame(
            {
                "segment": self.of_segment[at],
                "source": self.of_source[at],
                "created_ms": pl.Series([event.created_ms for event in events], dtype=pl.Int64),
                "log_ms": np.array(self.times, dtype=np.int64)[at],
                "kind": _KINDS.gather(self.kinds[self.spoken]),
                "platform": pl.Series(platforms, dtype=pl.String),
                "community": pl.Series([event.community for event in events], dtype=pl.String),
                "lang": self.enriched.lang,
                "author_hash": hash_authors(platforms, [event.author for event in events], self.params.author_key),
                "followers": pl.Series([event.followers for event in events], dtype=pl.Int64),
                "sentiment_milli": self.enriched.sentiment_milli,
                "offset": self.offsets[at],
            }
        )
        return frame.with_columns(event_ms=event_times(pl.col("created_ms"), pl.col("log_ms"))).select(list(POSTS))

    def _enrich(self, watchlist: CompiledWatchlist) -> Enriched:
        events = self.said
        frame = pl.DataFrame(
            {
                "text": pl.Series([event.text for event in events], dtype=pl.String),
                "lang": pl.Series([event.lang for event in events], dtype=pl.String),
                "tags": frames.texts_of([event.tags for event in events]),
                "mentions": frames.texts_of([event.mentions for event in events]),
                "links": frames.texts_of([event.links for event in events]),
            }
        )
        return enrich(frame, watchlist, self.params.enrich)

    def _forget(self, i: int) -> tuple[int, Mention]:
        event = self.events[i]
        mention = Mention(
            post_id=event.post_id, platform=event.platform, version=DELETED_VERSION, deleted=True, kind="delete", event_ms=0
        )
        return int(self.at[i]), mention

    def _mention(self, row: int, brands: list[str], terms: list[str], post: dict[str, object]) -> tuple[int, Mention]:
        event, position = self.said[row], int(self.at[self.spoken[row]])
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
        return position, mention
