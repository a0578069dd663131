"""What is remembered about the few terms that are watched, warm or surging: authors, kinds of post, sentiment, sample posts.

A track keeps its last hour in chunks that get coarser with age (10 s, then 1 min, then 10 min), so that a surge can be told from
its first window on; an open surge keeps one running total instead. Chunks of about 1 KB each are merged when there are 28 or more;
between two calls of `compact` a minute adds six. Rows may come in any order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from copy import copy
from itertools import islice, pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from schemas.candidates import MAX_SAMPLES, SampleRef
from schemas.frames import COUNTS
from schemas.windows import WINDOW_MS
from streams.baseline import Ints
from streams.samples import references, references_of
from streams.sketches import merge_authors, merge_samples, union_authors

WATCHED_PREFIX = "brand:"

_NAMES = tuple(COUNTS)
_NOTHING = dict.fromkeys(_NAMES, 0)

# (age up to which, length of a chunk of that age); what is older than the last is forgotten but for its sentiment and few samples.
_GRAINS_MS = ((120_000, WINDOW_MS), (600_000, 60_000), (4_200_000, 600_000))

MANY_CHUNKS = 28
"""A track with so many is to be compacted."""

_FEW_ROWS = 100  # up to which it is faster to look into a table row by row than to take it apart

_GRAINS = len(_GRAINS_MS)
_GONE = -(2**62)  # older than that
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
    authors: list[int]
    samples: list[SampleRef]


def read_rows(rows: pl.DataFrame, at: Ints) -> Iterator[Row]:
    """These rows of a table of frames.TERM_ROWS, in this order."""
    if 2 * len(at) > rows.height:
        every = rows.rows()
        return (_row(*every[i]) for i in at.tolist())
    if len(at) <= _FEW_ROWS:
        return (_row(*rows.row(i)) for i in at.tolist())
    some = rows[at]
    terms, starts = some["term"].to_list(), some["window_start_ms"].to_list()
    return map(Row, terms, starts, some.select(_NAMES).rows(), _lists(some["authors"]), _samples(some["samples"]))


def record(track: Track, row: Row) -> None:
    """Add one row to the surge if it belongs to one, else to the recent past. No chunk changes: another takes its place."""
    if track.surge is not None and row.start_ms >= track.surge.total.start_ms:
        track.surge.total = _with(track.surge.total, row)
        return
    place = bisect_left(track.chunks, row.start_ms, key=_BY_START)
    if place < len(track.chunks) and track.chunks[place].start_ms == row.start_ms:
        track.chunks[place] = _with(track.chunks[place], row)
    else:
        track.chunks.insert(place, _with(Chunk(row.start_ms, _NOTHING), row))


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
    grains = [_grain(chunk.start_ms, now_ms) for chunk in chunks]  # the older, the coarser
    first = grains.count(_GONE)
    cuts = [at for at in range(first, len(chunks)) if at == first or grains[at] != grains[at - 1]]
    together = [chunks[start:end] for start, end in pairwise([*cuts, len(chunks)])]
    track.chunks = [some[0] if len(some) == 1 else merge(some, _CHUNK_SAMPLES) for some in together]
    for chunk in chunks[:first]:
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
    """One chunk of at least one, with the `keep` smallest samples."""
    samples: tuple[SampleRef, ...] = ()
    for chunk in chunks:
        samples = merge_samples(samples, chunk.samples, keep)
    counts = dict(chunks[0].counts)
    for chunk in chunks[1:]:
        for name, value in chunk.counts.items():
            counts[name] += value
    return Chunk(min(chunk.start_ms for chunk in chunks), counts, union_authors(chunk.authors for chunk in chunks), samples)


def _grain(start_ms: int, now_ms: int) -> int:
    """Where the chunk of this age belongs begins; no two lengths share a number."""
    for number, (age_ms, length_ms) in enumerate(_GRAINS_MS):
        if start_ms > now_ms - age_ms:
            return start_ms // length_ms * _GRAINS + number
    return _GONE


def _row(start_ms: int, term: str, *others: Any) -> Row:
    *counts, authors, samples = others
    return Row(term, start_ms, tuple(counts), authors or [], list(references(samples or ())))


def _lists(column: pl.Series) -> list[list[int]]:
    return [[] if one is None else one for one in column.to_list()]


def _samples(column: pl.Series) -> Iterator[list[SampleRef]]:
    """The places of each row as references."""
    lengths = column.list.len().fill_null(0).to_list()
    refs = iter(references_of(column.explode(empty_as_null=False).drop_nulls().to_numpy()))
    return (list(islice(refs, length)) for length in lengths)
