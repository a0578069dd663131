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
from streams.cells import lists_of
from streams.count_cells import Posts, count_cells
from streams.samples import hashes, places
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
    authors = posts["author_hash"]
    facts = _facts(posts)
    table = Posts(groups.of_post, _own(facts), _own(authors.fill_null(0)), _own(authors.is_not_null()), where)
    sizes, keep = (groups.segment.size, len(terms.vocabulary)), (frames.SKETCH_SIZE, frames.SAMPLES_PER_ROW)
    found = count_cells(table, np.argsort(hashes(where)), terms.rows, terms.codes, sizes, keep)
    cells = {"segment": groups.segment[found.groups], "window_start_ms": groups.window_ms[found.groups]}
    sums = dict(zip(facts.columns, found.sums, strict=True))
    lists = {"authors": lists_of(found.authors, found.author_counts), "samples": lists_of(found.samples, found.sample_counts)}
    rows = pl.DataFrame({**cells, "term": terms.vocabulary.gather(found.codes), "events": found.events, **sums, **lists})
    return Counted(_as(PACKET_TERMS, rows), found.codes)


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
    codes_of, facets_of = len(terms.vocabulary), len(kinds)  # far below 2^63 together with the groups of a pass
    keys = (groups.of_post[terms.rows[pairs]] * codes_of + terms.codes[pairs]) * facets_of + facets[facets > 0]
    found, events = np.unique(keys, return_counts=True)
    cells, facet = np.divmod(found, facets_of)
    group, code = np.divmod(cells, codes_of)
    table = {
        "segment": groups.segment[group],
        "window_start_ms": groups.window_ms[group],
        "term": terms.vocabulary.gather(code),
        "facet": kinds.gather(facet),
        "events": events,
    }
    return Counted(_as(PACKET_FACETS, pl.DataFrame(table)), code)


def _own(values: pl.DataFrame | pl.Series) -> npt.NDArray[Any]:
    """The values as an array that may be written, row by row: for each kind of array a loop is compiled anew."""
    return np.array(values.to_numpy(), order="C")


def _as(columns: dict[str, pl.DataType], table: pl.DataFrame) -> pl.DataFrame:
    return table.select(list(columns)).cast(columns)  # type: ignore[arg-type]  # a mapping of names to types is what cast takes


@dataclass(frozen=True, slots=True)
class _Groups:
    """The (segment, window) pairs of some posts, ascending, and which one each post has."""

    segment: _Integers
    window_ms: _Integers
    of_post: npt.NDArray[np.int64]


def _groups(posts: pl.DataFrame) -> _Groups:
    segment, event_ms = posts["segment"].to_numpy().astype(np.int64), posts["event_ms"].to_numpy()
    keys = segment * 2**32 + event_ms // WINDOW_MS  # times are far below 2^32 windows
    found, of_post = np.unique(keys, return_inverse=True)
    segments = (found + 2**31) >> 32  # of a time before 1970 too
    return _Groups(segments, (found - segments * 2**32) * WINDOW_MS, of_post)


def _facts(posts: pl.DataFrame) -> pl.DataFrame:
    """What is summed, of each post."""
    kind = pl.col("kind")
    return posts.select(
        kind.is_in(["post", "quote"]).cast(pl.Int64).alias("originals"),
        (kind == "reply").cast(pl.Int64).alias("replies"),
        (kind == "repost").cast(pl.Int64).alias("reposts"),
        pl.col("author_hash").is_null().cast(pl.Int64).alias("unknown_authors"),
        pl.col("sentiment_milli").is_not_null().cast(pl.Int64).alias("sentiment_events"),
        pl.col("sentiment_milli").fill_null(0),
        pl.col("followers").fill_null(0).alias("reach"),
    )


def _facets(posts: pl.DataFrame) -> tuple[pl.Series, list[_Integers]]:
    """All facets, sorted, from place 1 on, and per kind of facet which one each post has; 0: none."""
    kinds, of_post = [pl.Series("facet", [""])], []
    for name in ("community", "lang", "platform"):
        values = posts[name].fill_null("")
        distinct = values.unique().sort()
        places = np.zeros(len(distinct), dtype=np.int64)
        said = distinct.filter(distinct != "")
        places[len(distinct) - len(said) :] = np.arange(len(said)) + sum(map(len, kinds))
        kinds.append((f"{name}:" + said).alias("facet"))
        of_post.append(places[distinct.search_sorted(values).to_numpy()] if len(distinct) > 1 else np.full(len(values), places[0]))
    return pl.concat(kinds), of_post
