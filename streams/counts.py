"""Counting: the events of a few segments become one row per (segment, window, term).

Every event of a counted kind that is no duplicate is counted once for each of its terms, in the window of its event
time. Event time is the author's clock, or the log's where that is missing or ahead of it. Rows come sorted, so same
events, same bytes.
"""

from __future__ import annotations

import polars as pl

from schemas import frames
from schemas.packets import PACKET_FACETS, PACKET_TERMS
from schemas.windows import WINDOW_MS
from streams.cells import smallest

POSTS: dict[str, pl.DataType] = {
    "segment": pl.UInt32(),
    "event_ms": pl.Int64(),
    "kind": pl.String(),
    "platform": pl.String(),
    "community": pl.String(),
    "lang": pl.String(),
    "author_hash": pl.UInt64(),  # null: unknown
    "followers": pl.Int64(),  # null: unknown
    "sentiment_milli": pl.Int64(),  # null: not measured
    "id_hash": pl.UInt64(),
    "offset": pl.Int64(),
}
"""What counting needs of each post; row i is post i of the terms table."""

KEYS = ["segment", "window_start_ms", "term"]


def event_times(created_ms: pl.Expr, log_ms: pl.Expr) -> pl.Expr:
    """Event time: `created_ms`, or `log_ms` where that is missing or ahead of it."""
    return pl.min_horizontal(created_ms, log_ms)


def count_terms(posts: pl.DataFrame, terms: pl.DataFrame, partition: int) -> pl.DataFrame:
    """Rows of `PACKET_TERMS` of all terms. `posts` as POSTS; `terms` holds each (row, term) once."""
    rows = _facts(posts).sort("id_hash", "offset").join(terms, on="row", how="inner", maintain_order="left")
    if rows.is_empty():
        return frames.empty(PACKET_TERMS)
    counted = (
        rows.lazy()
        .group_by(KEYS, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("events"),
            *(pl.col(name).sum() for name in list(frames.COUNTS)[1:]),
            pl.col("author_hash").drop_nulls().alias("authors"),
            pl.col("id_hash").head(frames.SAMPLES_PER_ROW).alias("sample_hashes"),
            pl.col("offset").head(frames.SAMPLES_PER_ROW).alias("sample_offsets"),
        )
        .with_columns(
            smallest(pl.col("authors")),
            pl.col("sample_offsets").list.eval(pl.lit(partition, pl.Int32)).alias("sample_partitions"),
        )
        .sort(KEYS)
        .select(list(PACKET_TERMS))
        .collect()
    )
    return counted.cast(PACKET_TERMS)  # type: ignore[arg-type]  # a mapping of names to types is what cast takes


def count_facets(posts: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Rows of `PACKET_FACETS` of the watched terms."""
    watched = terms.filter(frames.is_watched(pl.col("term")))
    facets = (
        _facts(posts)
        .join(watched, on="row", how="inner")
        .select(
            *KEYS,
            pl.concat_list(
                _facet("lang", pl.col("lang")), _facet("platform", pl.col("platform")), _facet("community", pl.col("community"))
            ).alias("facet"),
        )
        .explode("facet")
        .drop_nulls("facet")
    )
    counted = facets.group_by(*KEYS, "facet").agg(pl.len().cast(pl.Int64).alias("events")).sort(*KEYS, "facet")
    return counted.select(list(PACKET_FACETS)).cast(PACKET_FACETS)  # type: ignore[arg-type]  # as above


def _facts(posts: pl.DataFrame) -> pl.DataFrame:
    kind = pl.col("kind")
    return posts.with_row_index("row").select(
        "row",
        "segment",
        (pl.col("event_ms") - pl.col("event_ms") % WINDOW_MS).alias("window_start_ms"),
        kind.is_in(["post", "quote"]).cast(pl.Int64).alias("originals"),
        (kind == "reply").cast(pl.Int64).alias("replies"),
        (kind == "repost").cast(pl.Int64).alias("reposts"),
        pl.col("author_hash").is_null().cast(pl.Int64).alias("unknown_authors"),
        pl.col("sentiment_milli").is_not_null().cast(pl.Int64).alias("sentiment_events"),
        pl.col("sentiment_milli").fill_null(0),
        pl.col("followers").fill_null(0).alias("reach"),
        "author_hash",
        "id_hash",
        "offset",
        "lang",
        "platform",
        "community",
    )


def _facet(name: str, value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(pl.lit(f"{name}:") + value)
