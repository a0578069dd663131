"""What would have been alerted: recorded posts through the operators of the worker, without broker or database.

The same files, watchlist and parameters give the same moments.jsonl and windows.csv, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from agents.recordings import Line, Recording, in_time_order
from agents.settings import Settings
from schemas import frames
from schemas.moments import Moment, encode_moment
from schemas.watchlist import Brand
from schemas.windows import WINDOW_ROWS, WindowBatch
from streams.dedup import DedupParams
from streams.detect import DetectParams
from streams.ingest import Record
from streams.pipeline import Pipeline, PipelineOutput, PipelineParams
from streams.windows import WindowParams

FEED_RECORDS = 4_096  # records per step; what comes out does not depend on it
_KEY = ["term", "window_start_ms", "part"]


@dataclass(slots=True)
class Backtest:
    """One finished run."""

    params: PipelineParams
    brands: tuple[Brand, ...]
    moments: list[Moment] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # counted, duplicate, filtered, dead
    mentions: int = 0
    late_events: int = 0
    expired_events: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    windows: pl.DataFrame = field(default_factory=lambda: frames.empty(WINDOW_ROWS))  # the truth: one row per (term, window)

    def events_of(self, term: str, start_ms: int, end_ms: int) -> Mapping[int, int]:
        """Events of a term by window start, of the windows between two times that were kept."""
        start = pl.col("window_start_ms")
        rows = self.windows.filter((pl.col("term") == term) & (start >= start_ms) & (start < end_ms))
        return dict(zip(rows["window_start_ms"], rows["events"], strict=True))


def params_of(settings: Settings, platform: str) -> PipelineParams:
    """The worker's parameters under these settings."""
    return PipelineParams(
        platform=platform,
        author_key=settings.author_key.encode(),
        dedup=DedupParams(settings.dedup_horizon_ms),
        detect=DetectParams(windows=WindowParams(lateness_ms=settings.lateness_ms, min_support=settings.min_support)),
    )


def run_backtest(
    recordings: Sequence[Recording], brands: Sequence[Brand], params: PipelineParams, alerts: BinaryIO, seen: Callable[[Line], None]
) -> Backtest:
    """Every alert is written to `alerts` as it comes, one CloudEvent a line; `seen` is called with every line."""
    pipeline = Pipeline(params, brands)
    result = Backtest(params, tuple(brands))
    tables: list[pl.DataFrame] = []
    for records in _records(recordings, result, seen):
        _take(pipeline.feed(records), result, tables, alerts)
    if result.first_ms is not None:
        _take(pipeline.finish(), result, tables, alerts)
    result.windows = newest(tables)
    return result


def newest(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row per (term, window): of rows with one key the highest version, and the parts of a window added."""
    if not tables:
        return frames.empty(WINDOW_ROWS)
    rows = pl.concat(tables).sort("version", maintain_order=True).unique(_KEY, keep="last", maintain_order=True)
    return (
        rows.group_by("term", "window_start_ms")
        .agg(*(pl.col(name).sum() for name in frames.COUNTS), pl.col("authors").list.explode())
        .with_columns(pl.col("authors").list.unique().list.sort().list.head(frames.SKETCH_SIZE))
        .sort("window_start_ms", "term")
    )


def write_windows(windows: pl.DataFrame, path: Path) -> None:
    """The windows as CSV: times in ISO 8601, authors as a number, sentiment as a mean of -1..1."""
    known = pl.col("authors").list.len()
    estimate = (frames.SKETCH_SIZE - 1) * 2.0**64 / pl.col("authors").list.last().cast(pl.Float64)
    windows.select(
        "term",
        pl.from_epoch("window_start_ms", time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("window_start"),
        "events",
        pl.when(known < frames.SKETCH_SIZE).then(known.cast(pl.Int64)).otherwise(estimate.round().cast(pl.Int64)).alias("authors"),
        "originals",
        "replies",
        "reposts",
        "unknown_authors",
        (pl.col("sentiment_milli") / 1000 / pl.col("sentiment_events")).fill_nan(None).round(3).alias("sentiment"),
        "reach",
    ).write_csv(path)


def write_all(result: Backtest, path: Path, page: str) -> None:
    """The windows and the page beside moments.jsonl in the folder."""
    write_windows(result.windows, path / "windows.csv")
    (path / "report.html").write_text(page, encoding="utf-8")


def _records(recordings: Sequence[Recording], result: Backtest, seen: Callable[[Line], None]) -> Iterator[list[Record]]:
    lines = enumerate(in_time_order(recordings))
    while batch := list(islice(lines, FEED_RECORDS)):
        for _, (_, line) in batch:
            seen(line)
            result.first_ms = line.time_ms if result.first_ms is None else min(result.first_ms, line.time_ms)
            result.last_ms = line.time_ms if result.last_ms is None else max(result.last_ms, line.time_ms)
        yield [Record(offset, line.time_ms, line.payload) for offset, (_, line) in batch]


def _take(out: PipelineOutput, result: Backtest, tables: list[pl.DataFrame], alerts: BinaryIO) -> None:
    for moment in out.moments:
        alerts.write(encode_moment(moment) + b"\n")
    result.moments += out.moments
    result.outcomes.update(out.outcomes)
    result.mentions += len(out.mentions)
    result.late_events += out.late_events
    result.expired_events += out.expired_events
    tables += [rows for batch in out.windows if (rows := _rows(batch)) is not None]


def _rows(batch: WindowBatch) -> pl.DataFrame | None:
    return frames.from_bytes(batch.rows).select(list(WINDOW_ROWS)) if batch.rows else None
