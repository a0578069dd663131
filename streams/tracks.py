"""What is remembered about the few terms that are watched, warm or surging: authors, kinds of post, sentiment, sample posts.

A track keeps its last hour in chunks that get coarser with age (10 s, then 1 min, then 10 min), so that a surge can be told from
its first window on; an open surge keeps one running total instead. Chunks of about 1 KB each are merged when there are 28 or more;
between two calls of `compact` a minute adds six. Rows may come in any order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from operator import attrgetter
from typing import NamedTuple

import msgspec

from schemas.candidates import MAX_SAMPLES, SampleRef
from schemas.frames import COUNTS
from schemas.windows import WINDOW_MS
from streams.sketches import merge_authors, merge_samples, union_authors

WATCHED_PREFIX = "brand:"

_NAMES = tuple(COUNTS)

# (age up to which, length of a chunk of that age); what is older than the last is forgotten but for its sentiment and few samples.
_GRAINS_MS = ((120_000, WINDOW_MS), (600_000, 60_000), (4_200_000, 600_000))

MANY_CHUNKS = 28
"""A track with so many is to be compacted."""

_BY_START = attrgetter("start_ms")

# Sample posts per chunk; an hour of a track and its background hold some hundred references.
_CHUNK_SAMPLES = 8
BACKGROUND_SAMPLES = 8

# The usual sentiment follows the last thousand or so opinions.
_USUAL_EVENTS = 1000


class Chunk(msgspec.Struct, array_like=True, gc=False):
    """Everything about the posts of some neighbouring windows."""

    start_ms: int  # start of the first window with a row
    counts: dict[str, int]
    authors: bytes = b""
    samples: tuple[SampleRef, ...] = ()


class OpenSurge(msgspec.Struct, kw_only=True):
    """A surge that opened and has not faded."""

    opened_ms: int
    scale: int  # index of the scale that opened it, or that of an hour if it lasted
    total: Chunk
    peaks: list[int]  # highest count so far, per scale
    reported_peaks: list[int]
    reported_ms: int
    reported_events: int
    above_ms: int  # last tick at which it was still a surge
    usual_sentiment_milli: int | None
    background: tuple[SampleRef, ...]


class Track(msgspec.Struct, kw_only=True):
    """The recent past of one term in some detail."""

    term: str
    watched: bool
    warm_ms: int  # last tick at which it had reason to be tracked
    chunks: list[Chunk] = []  # by start
    background: tuple[SampleRef, ...] = ()
    usual_events: int = 0
    usual_milli: int = 0
    faded_ms: int | None = None  # when its last surge faded
    surge: OpenSurge | None = None
    last_scale: int = 0  # and its scale
    last_peaks: list[int] = []  # its highest counts, per scale


class Row(NamedTuple):
    """One row of frames.TERM_ROWS as Python values."""

    term: str
    start_ms: int
    counts: tuple[int, ...]  # of frames.COUNTS
    authors: Sequence[int]
    samples: Sequence[SampleRef]


def record(track: Track, row: Row) -> None:
    """Add one row to the surge if it belongs to one, else to the recent past. No chunk changes: another takes its place."""
    start_ms, chunks = row.start_ms, track.chunks
    if track.surge is not None and start_ms >= track.surge.total.start_ms:
        track.surge.total = _with(track.surge.total, row)
    elif not chunks or start_ms > chunks[-1].start_ms:  # as most are
        chunks.append(_chunk(row))
    else:
        place = bisect_left(chunks, start_ms, key=_BY_START)
        if chunks[place].start_ms == start_ms:
            chunks[place] = _with(chunks[place], row)
        else:
            chunks.insert(place, _chunk(row))


def _chunk(row: Row) -> Chunk:
    authors = merge_authors(b"", row.authors) if row.authors else b""
    samples = merge_samples((), row.samples, MAX_SAMPLES) if row.samples else ()
    return Chunk(row.start_ms, dict(zip(_NAMES, row.counts, strict=True)), authors, samples)


def _with(chunk: Chunk, row: Row) -> Chunk:
    counts = chunk.counts.copy()
    for name, value in zip(_NAMES, row.counts, strict=True):
        if value:
            counts[name] = counts.get(name, 0) + value
    authors = merge_authors(chunk.authors, row.authors) if row.authors else chunk.authors
    samples = merge_samples(chunk.samples, row.samples, MAX_SAMPLES) if row.samples else chunk.samples
    return Chunk(chunk.start_ms, counts, authors, samples)


def frozen(track: Track) -> Track:
    """The track as it is now, whatever becomes of this one."""
    same = copy(track)
    same.chunks = track.chunks.copy()
    same.surge = copy(track.surge)
    return same


def compact(track: Track, now_ms: int) -> None:
    """Merge chunks that grew old; what falls out of the last hour leaves its sentiment and some samples behind."""
    chunks = track.chunks
    first, middle, young = (bisect_right(chunks, now_ms - age_ms, key=_BY_START) for age_ms, _ in reversed(_GRAINS_MS))
    (_, fine_ms), (_, coarse_ms) = _GRAINS_MS[1:]
    track.chunks = [*_coarser(chunks[first:middle], coarse_ms), *_coarser(chunks[middle:young], fine_ms), *chunks[young:]]
    for chunk in chunks[:first]:
        if chunk.samples:
            track.background = merge_samples(track.background, chunk.samples, BACKGROUND_SAMPLES)
        track.usual_events += chunk.counts["sentiment_events"]
        track.usual_milli += chunk.counts["sentiment_milli"]
    while track.usual_events > _USUAL_EVENTS:
        track.usual_events, track.usual_milli = track.usual_events // 2, track.usual_milli // 2


def split(track: Track, since_ms: int) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks before a surge and those of it; of at least one chunk the newest always belongs to the surge."""
    chunks = track.chunks
    first = next((i for i, chunk in enumerate(chunks) if chunk.start_ms >= since_ms), len(chunks) - 1)
    return chunks[:first], chunks[first:]


def merge(chunks: list[Chunk], keep: int) -> Chunk:
    """One chunk of at least one, given by start, with the `keep` smallest samples."""
    counts = dict(chunks[0].counts)
    for chunk in chunks[1:]:
        for name, value in chunk.counts.items():
            if value:
                counts[name] = counts.get(name, 0) + value
    samples = [sample for chunk in chunks for sample in chunk.samples]
    return Chunk(chunks[0].start_ms, counts, union_authors(chunk.authors for chunk in chunks), merge_samples((), samples, keep))


def _coarser(chunks: list[Chunk], length_ms: int) -> list[Chunk]:
    """One chunk for each span of this length."""
    together: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        together.setdefault(chunk.start_ms // length_ms, []).append(chunk)
    return [some[0] if len(some) == 1 else merge(some, _CHUNK_SAMPLES) for some in together.values()]
