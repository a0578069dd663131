"""What every scale says about the terms that a tick touched: seen, expected, and how surprising that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.baseline import MAX_SCORE, Floats, Ints, Weights, surprise
from streams.compiled import compiled
from streams.surge_params import SCORE_VOLUME, SurgeParams
from streams.term_records import SCALES, Clock, PerScaleFloat, PerScaleInt, Records, expect, observe, stands
from streams.term_table import TOTAL, Hashes, TermTable

LASTING_SCALE = 2
"""5 minutes: a surge stays open while any scale up to this one or the one that opened it says so."""

LONGEST = SCALES - 1

_WARM_SHARE = 0.1  # of the events that open a surge
_URGENT_SHARE = 0.25


MAY_OPEN, MAY_OPEN_WATCHED, URGENT, WARM = 1, 2, 4, 8
"""Flags of a term: a scale has seen enough for a surge (what else it takes, `open_surge` knows), or enough if it is watched, or a
share of it, so that its authors and posts have to be known; it has reason to be tracked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What each scale (columns) says about each term (rows) that it may have something to say about."""

    places: Ints  # among the slots that were judged
    keys: Hashes
    slots: Ints
    observed: Ints
    expected: Floats
    score: Floats
    flags: NDArray[np.uint8]
    enough: NDArray[np.bool_]  # by term, scale, and whether it is watched: do evidence, support and ratio suffice?
    bar: Bar

    def of(self, row: int) -> TermVerdict:
        """The verdict on one term."""
        return TermVerdict(
            int(self.slots[row]), self.observed[row], self.expected[row], self.score[row], self.enough[row].T, self.bar
        )


class Bar(NamedTuple):
    """What it takes in a stream of this volume; of terms that are not watched, then of those that are."""

    score: Floats
    support: Floats  # rows; columns: scales


@dataclass(frozen=True, slots=True)
class TermVerdict:
    """What each scale says about one term."""

    slot: int
    observed: Ints
    expected: Floats
    score: Floats
    enough: NDArray[np.bool_]  # rows: if it is not watched, if it is
    bar: Bar

    def best(self, scales: NDArray[np.bool_]) -> int:
        """Which of these scales says so most clearly; the shortest of equals."""
        return int(np.argmax(np.where(scales, self.score, -1.0)))


def judge(table: TermTable, slots: Ints, surging: Ints, params: SurgeParams) -> Verdict:
    """Scores of the settled terms of these slots that may open a surge, get a track or have an open surge.

    `slots` start with TOTAL; `surging`: which of them have one. A term that merely follows all others has no surge: what is
    expected of it grows with them.
    """
    open_ = np.zeros(len(slots), np.bool_)
    open_[surging] = True
    found = _judge(table.slots, slots, open_, table.clock, table.weights, _limits(params))
    places, observed, expected, score, flags, enough, bar = found
    own = slots[places]
    return Verdict(places, table.slots["hash"][own], own, observed, expected, score, flags, enough, bar)


class _Limits(NamedTuple):
    """The parameters as the loop takes them."""

    support: PerScaleInt
    support_watched: PerScaleInt
    support_root: float
    ratios: PerScaleFloat
    score: float
    score_watched: float
    warm_score: float
    warm_events: int
    growth_events: float
    growth_cap: float
    min_bins: float
    backing: float
    unbacked: float
    lasting: float  # score of one deviation that lasts
    tide_hours: float


@lru_cache(maxsize=8)
def _limits(params: SurgeParams) -> _Limits:
    return _Limits(
        params.support,
        params.support_watched,
        params.support_root,
        params.ratios,
        params.score,
        params.score_watched,
        params.warm_score,
        params.warm_events,
        params.growth_events,
        params.growth_cap,
        params.min_bins,
        params.backing,
        params.unbacked,
        params.score_watched / params.lasting,
        params.baseline.tide_hours,
    )


@compiled
def _judge(
    records: Records, slots: Ints, surging: NDArray[np.bool_], clock: Clock, weights: Weights, limits: _Limits
) -> tuple[Ints, Ints, Floats, Floats, NDArray[np.uint8], NDArray[np.bool_], Bar]:
    """Places among the slots; by place and scale observed, expected and score; flags, and by place, scale and watched: enough."""
    volume, usual, spreads, counts = np.empty(SCALES, np.int64), np.empty(SCALES), np.empty(SCALES), np.empty(SCALES, np.int64)
    observe(records[TOTAL], clock, volume)
    expect(records[TOTAL], clock, weights, usual, spreads)
    bar = _bar(volume, limits)
    places, found, size = np.empty(slots.size, np.int64), 0, slots.size
    observed, expected, score = np.empty((size, SCALES), np.int64), np.empty((size, SCALES)), np.empty((size, SCALES))
    flags, enough = np.zeros(size, np.uint8), np.zeros((size, SCALES, 2), np.bool_)
    for place in range(size):
        record = records[slots[place]]
        if slots[place] == TOTAL:
            continue
        observe(record, clock, counts)
        wanted = surging[place] or counts[LONGEST] >= limits.warm_events
        for scale in range(SCALES):
            wanted = wanted or counts[scale] >= min(limits.support[scale], limits.support_watched[scale])
        if wanted:
            places[found], observed[found] = place, counts
            expect(record, clock, weights, expected[found], spreads)
            for scale in range(SCALES):
                others = volume[scale] - counts[scale] + limits.growth_events
                growth = others / (max(usual[scale] - expected[found, scale], 0.0) + limits.growth_events)
                expected[found, scale] *= min(max(growth, 1.0), limits.growth_cap)
                score[found, scale] = 0.0
                if clock.exposure[scale] >= limits.min_bins:
                    score[found, scale] = surprise(float(counts[scale]), expected[found, scale], spreads[scale])
            if clock.exposure[LONGEST] >= limits.tide_hours:
                height = stands(record, clock)
                if height < limits.backing:
                    score[found] *= limits.unbacked
                lasting = _lasting(counts, expected[found], spreads, height) * limits.lasting
                score[found, LONGEST] = max(score[found, LONGEST], min(lasting, MAX_SCORE))
            flags[found] = _flags(counts, expected[found], score[found], bar, limits, enough[found])
            found += 1
    return (
        places[:found].copy(),
        observed[:found].copy(),
        expected[:found].copy(),
        score[:found].copy(),
        flags[:found].copy(),
        enough[:found].copy(),
        bar,
    )


@compiled
def _bar(volume: Ints, limits: _Limits) -> Bar:
    """A big stream has many small things: there are more to be wrong about."""
    bar = Bar(np.empty(2), np.empty((2, SCALES)))
    bar.score[0] = limits.score + math.log10(max(volume[LONGEST] / SCORE_VOLUME, 1.0))
    bar.score[1] = limits.score_watched
    for scale in range(SCALES):
        bar.support[0, scale] = max(float(limits.support[scale]), limits.support_root * math.sqrt(max(volume[scale], 0)))
        bar.support[1, scale] = limits.support_watched[scale]
    return bar


@compiled
def _flags(counts: Ints, expected: Floats, score: Floats, bar: Bar, limits: _Limits, enough: NDArray[np.bool_]) -> int:
    flags, has_events = 0, counts[LONGEST] >= limits.warm_events
    for scale in range(SCALES):
        if has_events and score[scale] >= limits.warm_score and counts[scale] >= _WARM_SHARE * bar.support[0, scale]:
            flags |= WARM
        if counts[scale] >= limits.ratios[scale] * expected[scale]:
            for watched in range(2):
                if score[scale] >= bar.score[watched]:
                    enough[scale, watched] = counts[scale] >= bar.support[watched, scale]
                    if enough[scale, watched]:
                        flags |= MAY_OPEN_WATCHED if watched else MAY_OPEN
                    if not watched and counts[scale] >= _URGENT_SHARE * bar.support[watched, scale]:
                        flags |= URGENT
    return flags


@compiled
def _lasting(observed: Ints, expected: Floats, spreads: Floats, height: float) -> float:
    """Deviations, for what stands out at every length from minutes to half a day: many terms burst, but few do all day."""
    together = max(height, 0.0)
    for scale in (LASTING_SCALE, LONGEST):
        mean = expected[scale]
        together *= max((observed[scale] - mean - 1.0) / ((mean + spreads[scale] * mean**2) ** 0.5 + 1.0), 0.0)
    return float(np.cbrt(together))
