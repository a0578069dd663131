"""The tables inside packets and window batches: column names, types and their bytes (Arrow IPC stream, zstd).

Same rows in the same order give the same bytes; whoever builds a frame sorts it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Literal

import numpy as np
import polars as pl

SKETCH_SIZE = 64
"""k of the k-minimum-values sketch of authors: exact below k, standard error 1/sqrt(k-2) = 12.7 % above."""

SAMPLES_PER_ROW = 8
"""Sample references kept per packet row: those with the smallest hashes (streams.samples), so always the same ones."""

COUNTS: dict[str, pl.DataType] = {
    "events": pl.Int64(),  # posts + replies + reposts + quotes that name the term, each once
    "originals": pl.Int64(),  # posts and quotes
    "replies": pl.Int64(),
    "reposts": pl.Int64(),
    "unknown_authors": pl.Int64(),  # events whose author the platform did not give
    "sentiment_events": pl.Int64(),  # events with a sentiment (brand posts in a supported language)
    "sentiment_milli": pl.Int64(),  # sum of compound sentiment, in thousandths: -1000..1000 per event
    "reach": pl.Int64(),  # sum of known follower counts
}
"""The additive columns of a term in a window; a correction is a difference of these."""

TERM_ROWS: dict[str, pl.DataType] = {
    "window_start_ms": pl.Int64(),
    "term": pl.String(),  # kind:value; kinds are all, brand, hashtag, mention, domain, keyword
    **COUNTS,
    "authors": pl.List(pl.UInt64()),  # the SKETCH_SIZE smallest distinct author hashes, ascending
    "samples": pl.List(pl.UInt64()),  # sample posts, see streams.samples
}
"""One row per (window, term) of a segment, sorted by both."""

FACET_ROWS: dict[str, pl.DataType] = {
    "window_start_ms": pl.Int64(),
    "term": pl.String(),
    "facet": pl.String(),  # lang:en, platform:bluesky, community:r/python
    "events": pl.Int64(),
}
"""Break-down of watched terms (all:, brand:) only, sorted by all three keys."""


def texts_of(values: Sequence[Sequence[str]]) -> pl.Series:
    """A column of lists of texts, as polars makes it too, which takes 12 µs to look into each from Python; this takes 2."""
    flat = list(chain.from_iterable(values))
    nothing = pl.Series([[]], dtype=pl.List(pl.String))
    if not flat:
        return nothing.new_from_index(0, len(values))
    row = np.repeat(np.arange(len(values)), list(map(len, values)))
    filled = pl.DataFrame({"row": row, "texts": flat}).group_by("row", maintain_order=True).agg("texts")
    rows = pl.DataFrame({"row": np.arange(len(values))})
    return rows.join(filled, on="row", how="left", maintain_order="left")["texts"].fill_null(nothing)


def to_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as an Arrow IPC stream; other threads may look at it meanwhile."""
    if frame.is_empty():
        frame = empty(dict(frame.schema))  # one that was read, or is the rest of another, has other buffers
    return written(frame, "zstd").getvalue()


def written(frame: pl.DataFrame, compression: Literal["zstd", "lz4", "uncompressed"]) -> io.BytesIO:
    """The frame as an Arrow IPC stream to be read.

    The writer keeps the frame's lock while it waits for the interpreter, and whoever has the interpreter and asks that frame for
    its height waits for the lock, for ever: what is written is a handle of its own (the columns are shared).
    """
    sink = io.BytesIO()
    # the newer string layout keeps the order in which strings came into memory, so equal frames would differ in bytes
    frame.clone().write_ipc_stream(sink, compression=compression, compat_level=pl.CompatLevel.oldest())
    sink.seek(0)
    return sink


def from_bytes(data: bytes) -> pl.DataFrame:
    """The frame of `to_bytes`, column for column."""
    return pl.read_ipc_stream(io.BytesIO(data))


def empty(columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """A frame of these columns without rows."""
    return _empty(tuple(columns.items()))


@lru_cache(maxsize=64)  # one takes 0.4 ms to make, and a quiet minute needs hundreds
def _empty(columns: tuple[tuple[str, pl.DataType], ...]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(columns))


WATCHED_KINDS = ("all:", "brand:")
"""Terms of these kinds are always stored and always kept; all others need a minimum support."""


_BEHIND_WATCHED = "brand;"  # `;` comes after `:`, all other kinds after brand: one comparison instead of two prefixes


def is_watched(term: pl.Expr) -> pl.Expr:
    """Whether the term is always stored."""
    return term < _BEHIND_WATCHED
