"""Counting: the events of a few segments become one row per (segment, window, term).

Every event of a counted kind that is no duplicate is counted once for each of its terms, in the window of its event
time. Event time is the author's clock, or the log's where that is missing or ahead of it. Rows come sorted, so same
events, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import frames
from schemas.packets import PACKET_FACETS, PACKET_TERMS
from schemas.windows import WINDOW_MS
from streams.samples import Places, hashes, places
from streams.terms import PostTerms

POSTS: dict[str, pl.DataType] = {
    "segment": pl.UInt32(),
    "source": pl.UInt32(),  # number of the raw partition
    "event_ms": pl.Int64(),
    "kind": pl.String(),
    "platform": pl.String(),
    "community": pl.String(),
    "lang": pl.String(),
    "author_hash": pl.UInt64(),  # null: unknown
    "followers": pl.Int64(),  # null: unknown
    "sentiment_milli": pl.Int64(),  # null: not measured
    "offset": pl.Int64(),
}
"""What counting needs of each post; row i is post i of the terms table."""

KEYS = ["segment", "window_start_ms", "term"]

_Integers = npt.NDArray[np.integer[Any]]
_Keys = npt.NDArray[np.uint64]


def event_times(created_ms: pl.Expr, log_ms: pl.Expr) -> pl.Expr:
    """Event time: `created_ms`, or `log_ms` where that is missing or ahead of it."""
    return pl.min_horizontal(created_ms, log_ms)


class Counted(NamedTuple):
    """Rows of a packet, and the code of each one's term in the vocabulary."""

    rows: pl.DataFrame
    codes: _Integers


def count_terms(posts: pl.DataFrame, terms: PostTerms) -> Counted:
    """Rows of `PACKET_TERMS` of all terms. `posts` as POSTS; `terms` of those that count."""
    if not terms.rows.size:
        return Counted(frames.empty(PACKET_TERMS), np.empty(0, dtype=np.uint32))
    groups = _groups(posts)
    where = places(posts["source"].to_numpy(), posts["offset"].to_numpy())
    order = np.argsort(hashes(where))
    rank = np.empty(order.size, dtype=np.uint64)
    rank[order] = np.arange(order.size, dtype=np.uint64)
    bits = _Bits(len(terms.vocabulary), order.size)
    keys = np.sort(bits.pack(groups.of_post[terms.rows], terms.codes, rank[terms.rows]))
    rows = order[bits.last(keys)]
    starts = _starts(bits.cells(keys))
    events = np.diff(starts, append=keys.size)
    first = keys[starts]
    cells = {"segment": groups.segment[bits.group(first)], "window_start_ms": groups.window_ms[bits.group(first)]}
    codes = bits.code(first)
    sums = {name: np.add.reduceat(values[rows], starts) for name, values in _facts(posts).items()}
    lists = {"authors": _authors(posts["author_hash"], rows, events), "samples": _samples(where[rows], starts, events)}
    table = pl.DataFrame({**cells, "term": terms.vocabulary.gather(codes), "events": events, **sums, **lists})
    return Counted(_as(PACKET_TERMS, table), codes)


def count_facets(posts: pl.DataFrame, terms: PostTerms) -> Counted:
    """Rows of `PACKET_FACETS` of the watched terms."""
    watched = frames.is_watched(pl.col("term"))
    codes = terms.vocabulary.rename("term").to_frame().select(watched).to_series().to_numpy()
    at = np.flatnonzero(codes[terms.codes])
    if not at.size:
        return Counted(frames.empty(PACKET_FACETS), np.empty(0, dtype=np.uint32))
    groups, (kinds, kind_of_post) = _groups(posts), _facets(posts)
    facets = np.concatenate([of_post[terms.rows[at]] for of_post in kind_of_post])
    pairs = np.tile(at, len(kind_of_post))[facets > 0]
    bits = _Bits(len(terms.vocabulary), len(kinds))
    keys = np.sort(bits.pack(groups.of_post[terms.rows[pairs]], terms.codes[pairs], facets[facets > 0].astype(np.uint64)))
    starts = _starts(keys)
    first = keys[starts]
    found = bits.code(first)
    table = {
        "segment": groups.segment[bits.group(first)],
        "window_start_ms": groups.window_ms[bits.group(first)],
        "term": terms.vocabulary.gather(found),
        "facet": kinds.gather(bits.last(first)),
        "events": np.diff(starts, append=keys.size),
    }
    return Counted(_as(PACKET_FACETS, pl.DataFrame(table)), found)


def _as(columns: dict[str, pl.DataType], table: pl.DataFrame) -> pl.DataFrame:
    return table.select(list(columns)).cast(columns)  # type: ignore[arg-type]  # a mapping of names to types is what cast takes


@dataclass(frozen=True, slots=True)
class _Groups:
    """The (segment, window) pairs of some posts, ascending, and which one each post has."""

    segment: _Integers
    window_ms: _Integers
    of_post: _Keys


def _groups(posts: pl.DataFrame) -> _Groups:
    segment, event_ms = posts["segment"].to_numpy().astype(np.int64), posts["event_ms"].to_numpy()
    keys = segment * 2**32 + event_ms // WINDOW_MS  # times are far below 2^32 windows
    found, of_post = np.unique(keys, return_inverse=True)
    segments = (found + 2**31) >> 32  # of a time before 1970 too
    return _Groups(segments, (found - segments * 2**32) * WINDOW_MS, of_post.astype(np.uint64))


class _Bits:
    """Three small numbers as one of 64 bits, that sorts by the first, then the second, then the third."""

    def __init__(self, codes: int, lasts: int) -> None:
        self._code, self._last = np.uint64(codes.bit_length()), np.uint64(lasts.bit_length())
        self._codes, self._lasts = np.uint64((1 << codes.bit_length()) - 1), np.uint64((1 << lasts.bit_length()) - 1)

    def pack(self, group: _Keys, code: _Integers, last: _Keys) -> _Keys:
        return (((group << self._code) | code.astype(np.uint64)) << self._last) | last

    def cells(self, keys: _Keys) -> _Keys:
        return keys >> self._last

    def group(self, keys: _Keys) -> _Integers:
        return (keys >> (self._last + self._code)).astype(np.int64)

    def code(self, keys: _Keys) -> _Integers:
        return ((keys >> self._last) & self._codes).astype(np.uint32)

    def last(self, keys: _Keys) -> _Integers:
        return (keys & self._lasts).astype(np.int64)


def _starts(cells: _Keys) -> _Integers:
    """Where each run of equal values begins."""
    return np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1])


def _facts(posts: pl.DataFrame) -> dict[str, _Integers]:
    """What is summed, of each post."""
    kind = pl.col("kind")
    table = posts.select(
        kind.is_in(["post", "quote"]).cast(pl.Int64).alias("originals"),
        (kind == "reply").cast(pl.Int64).alias("replies"),
        (kind == "repost").cast(pl.Int64).alias("reposts"),
        pl.col("author_hash").is_null().cast(pl.Int64).alias("unknown_authors"),
        pl.col("sentiment_milli").is_not_null().cast(pl.Int64).alias("sentiment_events"),
        pl.col("sentiment_milli").fill_null(0),
        pl.col("followers").fill_null(0).alias("reach"),
    )
    return {column.name: column.to_numpy() for column in table}


def _authors(hashes: pl.Series, rows: _Integers, events: _Integers) -> pl.Series:
    """Of each cell the SKETCH_SIZE smallest distinct hashes, ascending. `rows`: the posts of one cell after the other."""
    distinct = hashes.drop_nulls().unique().sort()
    place = distinct.search_sorted(hashes).to_numpy().astype(np.uint64)
    cell = np.repeat(np.arange(events.size, dtype=np.uint64), events)
    known = hashes.is_not_null().to_numpy()[rows]
    bits = np.uint64(max(len(distinct), 1).bit_length())
    keys = np.sort((cell[known] << bits) | place[rows[known]])
    if keys.size:
        keys = keys[_starts(keys)]
    cells = keys >> bits
    counts = np.bincount(cells.astype(np.int64), minlength=events.size)
    if counts.max(initial=0) > frames.SKETCH_SIZE:
        within = np.arange(keys.size) - np.repeat(np.cumsum(counts) - counts, counts)
        keys, counts = keys[within < frames.SKETCH_SIZE], np.minimum(counts, frames.SKETCH_SIZE)
    values = distinct.to_numpy()[(keys & np.uint64((1 << int(bits)) - 1)).astype(np.int64)]
    return _lists(values, counts)


def _samples(where: Places, starts: _Integers, events: _Integers) -> pl.Series:
    """Of each cell the first SAMPLES_PER_ROW places: they come by hash."""
    within = np.arange(where.size) - np.repeat(starts, events)
    return _lists(where[within < frames.SAMPLES_PER_ROW], np.minimum(events, frames.SAMPLES_PER_ROW))


def _lists(values: npt.NDArray[Any], counts: _Integers) -> pl.Series:
    """A column of lists with so many of the values each."""
    cell = np.repeat(np.arange(counts.size, dtype=np.uint32), counts)
    table = pl.DataFrame({"cell": pl.Series(cell).set_sorted(), "value": values})
    filled = table.group_by("cell", maintain_order=True).agg("value")["value"]
    if counts.all():
        return filled
    place = np.cumsum(counts > 0) - 1
    return filled.gather(pl.Series(np.where(counts > 0, place, -1)).replace(-1, None)).fill_null([])


def _facets(posts: pl.DataFrame) -> tuple[pl.Series, list[_Keys]]:
    """All facets, sorted, from place 1 on, and per kind of facet which one each post has; 0: none."""
    kinds, of_post = [pl.Series("facet", [""])], []
    for name in ("community", "lang", "platform"):
        values = posts[name].fill_null("")
        distinct = values.unique().sort()
        places = np.zeros(len(distinct), dtype=np.uint64)
        said = distinct.filter(distinct != "")
        places[len(distinct) - len(said) :] = np.arange(len(said), dtype=np.uint64) + np.uint64(sum(map(len, kinds)))
        kinds.append((f"{name}:" + said).alias("facet"))
        of_post.append(places[distinct.search_sorted(values).to_numpy()] if len(distinct) > 1 else np.full(len(values), places[0]))
    return pl.concat(kinds), of_post
