"""Counts per bin through `detect_surges` as the worker calls it, strictly causally: the score of a bin is said at its end.

A bin is stamped with its start and told at its end. That is too old for the scales of 10 s and 1 min, which therefore have no say:
nobody knows when in the bin the posts came. Several series go through one state at once, each as a brand; with `growth_cap=1` none
knows of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from schemas import frames
from streams.counted import Counted
from streams.surge_params import SurgeParams
from streams.surges import SurgeState, detect_surges
from tests.benchmarks.moments.series import BIN_MS, Series

TICK_MS = BIN_MS - 1_000  # after the bin's start; the last second that belongs to it
_PASS_TICKS = 288  # a day; a worker that catches up also shows many ticks one after the other
_LISTS = [name for name, kind in frames.TERM_ROWS.items() if kind == pl.List]


def alone(params: SurgeParams) -> SurgeParams:
    """The same parameters for terms that are each judged as if it were the only one of its stream."""
    return replace(params, growth_cap=1.0)


def opened_scores(series: Sequence[Series], params: SurgeParams) -> list[list[float]]:
    """Per series and bin: the score of the surge that opened at the end of this bin, 0 if none did."""
    scores = [[0.0] * len(one.counts) for one in series]
    places = {f"brand:{one.name}": number for number, one in enumerate(series)}
    at = [dict(zip(one.starts_ms, range(len(one.counts)), strict=True)) for one in series]
    rows, bounds = _rows(series)
    state, own = SurgeState(params), alone(params)
    for start in range(0, len(bounds), _PASS_TICKS):
        ticks = bounds[start : start + _PASS_TICKS]
        first = ticks[0][1]
        counted = Counted.of(rows.slice(first, ticks[-1][2] - first))
        for start_ms, begin, end in ticks:
            for surge in detect_surges(state, start_ms + TICK_MS, counted.part(begin - first, end - first), own):
                if surge.phase == "opened":
                    number = places[surge.term]
                    scores[number][at[number][start_ms]] = surge.score
    return scores


def _rows(series: Sequence[Series]) -> tuple[pl.DataFrame, list[tuple[int, int, int]]]:
    """frames.TERM_ROWS of all bins in their order; for each bin its start, and from where to where the rows are its."""
    starts = np.concatenate([np.array(one.starts_ms) for one in series])
    events = np.concatenate([np.array(one.counts) for one in series])
    names = np.concatenate([np.full(len(one.counts), f"brand:{one.name}") for one in series])
    order = np.argsort(starts, kind="stable")
    ticks, firsts = np.unique(starts[order], return_index=True)
    events = events[order]
    zeros = np.zeros(len(events), np.int64)
    columns = dict.fromkeys(frames.COUNTS, zeros) | {"events": events, "originals": events, "unknown_authors": events}
    table = pl.DataFrame({"window_start_ms": starts[order], "term": names[order], **columns})
    empty = [pl.Series(name, [[]], frames.TERM_ROWS[name]).new_from_index(0, len(events)) for name in _LISTS]
    table = table.with_columns(empty).select(list(frames.TERM_ROWS)).cast(dict(frames.TERM_ROWS))  # type: ignore[arg-type]
    return table, list(zip(ticks.tolist(), firsts.tolist(), [*firsts[1:].tolist(), len(events)], strict=True))
