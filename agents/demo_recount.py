"""A second opinion on every count: the raw topic read again from its start and counted the plain way.

It shares decoding and term extraction with the pipeline and nothing else: no segments, packets, windows, partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from schemas import frames
from schemas.errors import MalformedEvent
from schemas.events import COUNTED_KINDS, Event, Skipped, decode_event
from schemas.watchlist import Brand
from schemas.windows import WINDOW_MS
from streams.brands import CompiledWatchlist, compile_watchlist
from streams.enrich import POSTS, EnrichParams, enrich

CHUNK_POSTS = 20_000
CELL = ["term", "window_start_ms"]
CELLS = {
    "term": pl.String,
    "window_start_ms": pl.Int64,
    "events": pl.Int64,
}


class _Post(NamedTuple):
    event: Event
    event_ms: int
    log_ms: int


class RawRecord(NamedTuple):
    """One record as the broker keeps it."""

    partition: int
    log_ms: int
    value: bytes


@dataclass(slots=True)
class Recount:
    """What the raw topic holds."""

    records: int = 0
    counted: int = 0
    duplicates: int = 0
    filtered: int = 0  # well-formed, but no post
    changes: int = 0  # edits and deletes: decoded, not one more voice
    dead_letters: Counter[str] = field(default_factory=Counter)
    cells: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CELLS))


def recount(
    records: Iterable[RawRecord], brands: Sequence[Brand], dedup_horizon_ms: int, *, subtract_deletes: bool = False
) -> Recount:
    """Counts of every (term, window). An id seen within the horizon before is a copy, and the latest sight counts.

    With `subtract_deletes`, a delete within the horizon takes its post out of the windows of the brands it named.
    """
    watchlist = compile_watchlist(brands)
    found, posts, counts = Recount(), list[_Post](), list[pl.DataFrame]()
    seen: dict[tuple[int, str, str], int] = {}
    sights: dict[tuple[str, str], _Post] = {}
    for record in records:
        event = _decode(record, found)
        if event is None:
            continue
        identity = (record.partition, event.platform, event.id)
        last_ms, seen[identity] = seen.get(identity), record.log_ms
        if last_ms is not None and record.log_ms - last_ms <= dedup_horizon_ms:
            found.duplicates += 1
        elif event.kind in COUNTED_KINDS:
            event_ms = record.log_ms if event.created_ms is None else min(event.created_ms, record.log_ms)
            posts.append(_Post(event, event_ms, record.log_ms))
            sights[event.platform, event.post_id] = posts[-1]
            found.counted += 1
        else:
            found.changes += 1
            gone = sights.pop((event.platform, event.post_id), None) if event.kind == "delete" and subtract_deletes else None
            if gone is not None and record.log_ms - gone.log_ms <= dedup_horizon_ms:
                taken = _counts([gone], watchlist).filter(pl.col("term").str.starts_with("brand:"))
                counts.append(taken.with_columns(-pl.col("events")))
        if len(posts) >= CHUNK_POSTS:
            counts.append(_counts(posts, watchlist))
            posts = []
    counts.append(_counts(posts, watchlist))
    found.cells = pl.concat([found.cells, *counts]).group_by(CELL).agg(pl.col("events").sum()).sort(CELL)
    return found


class Comparison(NamedTuple):
    """Stored windows beside the recount."""

    compared: int  # stored windows, windows of watched terms, and per window the events left out
    different: int
    left_out_events: int  # of terms that nobody watches and that were too rare in a window to be stored
    examples: list[dict[str, object]]


def compare(stored: pl.DataFrame, left_out: pl.DataFrame, cells: pl.DataFrame) -> Comparison:
    """Every window that is stored, every window of a watched term, and what the store says it left out of each window.

    `stored` has the columns of CELLS; `left_out` has window_start_ms and events. So each event of each term is accounted
    for: it is in a stored window that equals the recount, or it is among those left out, as many as the recount misses.
    """
    watched = frames.is_watched(pl.col("term"))
    due = cells.filter(watched & (pl.col("events") != 0))
    table = _beside(stored, cells, CELL, pl.concat([stored.select(CELL), due.select(CELL)]).unique())
    missing = cells.join(stored, on=CELL, how="anti").filter(~watched)
    missing = missing.group_by("window_start_ms").agg(pl.col("events").sum())
    windows = pl.concat([left_out.select("window_start_ms"), missing.select("window_start_ms")]).unique()
    rest = _beside(left_out, missing, ["window_start_ms"], windows).with_columns(term=pl.lit("(left out)")).select(table.columns)
    both = pl.concat([table, rest])
    wrong = both.filter(pl.col("stored") != pl.col("recounted")).sort("window_start_ms", "term")
    return Comparison(both.height, wrong.height, int(left_out["events"].sum()), wrong.head(20).to_dicts())


def _beside(stored: pl.DataFrame, recounted: pl.DataFrame, on: list[str], keys: pl.DataFrame) -> pl.DataFrame:
    """Both counts of each key, 0 where there is none."""
    return (
        keys.join(stored.rename({"events": "stored"}), on=on, how="left")
        .join(recounted.rename({"events": "recounted"}), on=on, how="left")
        .fill_null(0)
    )


def _decode(record: RawRecord, found: Recount) -> Event | None:
    found.records += 1
    try:
        event = decode_event(record.value)
    except MalformedEvent as error:
        found.dead_letters[error.reason] += 1
        return None
    if isinstance(event, Skipped):
        found.filtered += 1
        return None
    return event


def _counts(posts: Sequence[_Post], watchlist: CompiledWatchlist) -> pl.DataFrame:
    events = [post.event for post in posts]
    texts = {"text": [event.text for event in events], "lang": [event.lang for event in events]}
    table = pl.DataFrame(texts, schema={name: POSTS[name] for name in texts}).with_columns(
        _lists("tags", [event.tags for event in events]),
        _lists("mentions", [event.mentions for event in events]),
        _lists("links", [event.links for event in events]),
    )
    starts = pl.Series("window_start_ms", [post.event_ms // WINDOW_MS * WINDOW_MS for post in posts], dtype=pl.Int64)
    terms = enrich(table, watchlist, EnrichParams()).terms
    rows = terms.join(starts.to_frame().with_row_index("row"), on="row").group_by(CELL)
    return rows.agg(pl.len().cast(pl.Int64).alias("events")).select(list(CELLS))


def _lists(name: str, values: Sequence[tuple[str, ...]]) -> pl.Series:
    """A column of lists; polars takes 20 µs for each when asked directly, and nearly all are empty."""
    flat = [(row, value) for row, several in enumerate(values) for value in several]
    found = (
        pl.DataFrame(flat, schema={"row": pl.Int64, name: pl.String}, orient="row").group_by("row", maintain_order=True).agg(name)
    )
    rows = pl.DataFrame({"row": range(len(values))}, schema={"row": pl.Int64})
    return rows.join(found, on="row", how="left", maintain_order="left")[name].fill_null([])
