"""The windows of a backtest: those that the worker would store, and around every moment also the small ones, for its plot.

Bounded apart from what is stored: of small windows the newest MAX_RECENT_ROWS rows are remembered, and those of lead terms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from schemas import frames
from schemas.windows import WINDOW_ROWS, WindowBatch

MAX_RECENT_ROWS = 3_000_000  # about 150 MB; hours of a busy evening, weeks of a quiet one
_KEY = ["term", "window_start_ms", "part"]
_WINDOW = ["term", "window_start_ms"]
_PLOTTED = [*_KEY, "version", "events"]


class BacktestWindows:
    """Takes the windows of a pipeline that leaves none out (`min_support` 1)."""

    def __init__(self, min_support: int) -> None:
        self._min_support = min_support
        self._stored: list[pl.DataFrame] = []
        self._corrections: list[pl.DataFrame] = []
        self._closed: set[int] = set()  # starts of windows that closed
        self._recent: deque[pl.DataFrame] = deque()
        self._recent_rows = 0
        self._followed: dict[str, list[pl.DataFrame]] = {}

    def take(self, batches: Sequence[WindowBatch], lead_terms: Iterable[str]) -> None:
        """The next windows; `lead_terms` are of moments that opened by them and are to be plotted."""
        tables = [frames.from_bytes(batch.rows).select(list(WINDOW_ROWS)) for batch in batches if batch.rows]
        for rows in tables:
            self._store(rows)
        plotted = pl.concat([rows.select(_PLOTTED) for rows in tables]) if tables else frames.empty(WINDOW_ROWS).select(_PLOTTED)
        self._follow(plotted, lead_terms)
        self._remember(plotted)

    def stored(self) -> pl.DataFrame:
        """One row per (term, window) that the worker would store."""
        kept = pl.concat([frames.empty(WINDOW_ROWS), *self._stored])
        later = pl.concat([frames.empty(WINDOW_ROWS), *self._corrections]).join(kept, on=_KEY, how="semi", maintain_order="left")
        return newest(pl.concat([kept, later]))

    def events_of(self, term: str, start_ms: int, end_ms: int) -> Mapping[int, int]:
        """Events of a lead term by window start, between two times; small windows too."""
        tables = self._followed.get(term)
        if not tables:
            return {}
        rows = pl.concat(tables).filter(pl.col("window_start_ms").is_between(start_ms, end_ms, closed="left"))
        counts = _latest(rows).group_by("window_start_ms").agg(pl.col("events").sum())
        return dict(counts.iter_rows())

    def _store(self, rows: pl.DataFrame) -> None:
        """As detect does: what is enough when its window closes is stored; later versions of it too, and what came after that."""
        start, beside = pl.col("window_start_ms"), pl.col("part").str.contains("/", literal=True)
        closed_before = start.is_in(list(self._closed)) & ~beside
        enough = beside | frames.is_watched(pl.col("term")) | (pl.col("events") >= self._min_support)
        self._stored.append(rows.filter(~closed_before & enough))
        self._corrections.append(rows.filter(closed_before))
        self._closed.update(rows["window_start_ms"].unique())

    def _follow(self, rows: pl.DataFrame, lead_terms: Iterable[str]) -> None:
        for term in set(lead_terms) - self._followed.keys():
            self._followed[term] = [found for t in self._recent if (found := t.filter(pl.col("term") == term)).height]
        if not self._followed:
            return
        of_leads = rows.filter(pl.col("term").is_in(list(self._followed)))
        for (term,), found in of_leads.partition_by("term", as_dict=True).items():
            self._followed[str(term)].append(found)

    def _remember(self, rows: pl.DataFrame) -> None:
        self._recent.append(rows)
        self._recent_rows += rows.height
        while self._recent_rows > MAX_RECENT_ROWS:
            self._recent_rows -= self._recent.popleft().height


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per (term, window) that is not 0: of rows with one key the highest version, and the parts of a window added."""
    return (
        _latest(rows)
        .group_by(_WINDOW)
        .agg(*(pl.col(name).sum() for name in frames.COUNTS), pl.col("authors").list.explode())
        .filter(pl.col("events") != 0)
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


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("version", maintain_order=True).unique(_KEY, keep="last", maintain_order=True)
