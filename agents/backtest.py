"""What would have been alerted: recorded posts through the operators of the worker, without broker or database.

The same files, watchlist and parameters give the same moments.jsonl and windows.csv, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from agents.backtest_windows import BacktestWindows, write_windows
from agents.recordings import Line, Recording, in_time_order
from agents.settings import Settings
from schemas.moments import Moment, encode_moment
from schemas.watchlist import Brand
from streams.dedup import DedupParams
from streams.detect import DetectParams
from streams.pipeline import Pipeline, PipelineOutput, PipelineParams
from streams.records import Record
from streams.windows import WindowParams

FEED_RECORDS = 4_096  # records per step; what comes out does not depend on it


@dataclass(slots=True)
class Backtest:
    """One finished run."""

    params: PipelineParams
    brands: tuple[Brand, ...]
    windows: BacktestWindows
    moments: list[Moment] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # counted, duplicate, filtered, dead
    mentions: int = 0
    late_events: int = 0
    expired_events: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


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
    every = replace(params.detect.windows, min_support=1)
    pipeline = Pipeline(replace(params, detect=replace(params.detect, windows=every)), brands)
    result = Backtest(params, tuple(brands), BacktestWindows(params.detect.windows.min_support))
    for records in _records(recordings, result, seen):
        _take(pipeline.feed(records), result, alerts)
    if result.first_ms is not None:
        _take(pipeline.finish(), result, alerts)
    return result


def write_all(result: Backtest, path: Path, page: str) -> None:
    """The windows and the page beside moments.jsonl in the folder."""
    write_windows(result.windows.stored(), path / "windows.csv")
    (path / "report.html").write_text(page, encoding="utf-8")


def _records(recordings: Sequence[Recording], result: Backtest, seen: Callable[[Line], None]) -> Iterator[list[Record]]:
    lines = enumerate(in_time_order(recordings))
    while batch := list(islice(lines, FEED_RECORDS)):
        for _, (_, line) in batch:
            seen(line)
            result.first_ms = line.time_ms if result.first_ms is None else min(result.first_ms, line.time_ms)
            result.last_ms = line.time_ms if result.last_ms is None else max(result.last_ms, line.time_ms)
        yield [Record(offset, line.time_ms, line.payload) for offset, (_, line) in batch]


def _take(out: PipelineOutput, result: Backtest, alerts: BinaryIO) -> None:
    for moment in out.moments:
        alerts.write(encode_moment(moment) + b"\n")
    result.moments += out.moments
    result.outcomes.update(out.outcomes)
    result.mentions += len(out.mentions)
    result.late_events += out.late_events
    result.expired_events += out.expired_events
    result.windows.take(out.windows, [moment.lead_term for moment in out.moments])
