"""What every scale says about the terms that a tick touched: seen, expected, and how surprising that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.baseline import MAX_SCORE, Floats, Ints, Weights, surprise
from streams.compiled import compiled
from streams.surge_params import SurgeParams, least_score, support_of
from streams.term_records import SCALES, Clock, Records, expect, observe, stands
from streams.term_table import TOTAL, Hashes, TermTable

LASTING_SCALE = 2
"""5 minutes: a surge stays open while any scale up to this one or the one that opened it says so."""

LONGEST = SCALES - 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What each scale (columns) says about each term (rows) that it may have something to say about."""

    places: Ints  # among the slots that were judged
    keys: Hashes
    slots: Ints
    observed: Ints
    expected: Floats
    score: Floats
    volume: Ints  # events of all terms, per scale

    def may_open(self, params: SurgeParams, *, watched: bool, share: float = 1.0) -> NDArray[np.bool_]:
        """Terms that a scale has seen enough of for a surge, or `share` of it; what else it takes, `open_surge` knows."""
        return np.asarray(
            enough(self.observed, self.expected, self.score, self.volume, params, watched=watched, share=share).any(axis=1)
        )

    def of(self, row: int) -> TermVerdict:
        """The verdict on one term."""
        return TermVerdict(int(self.slots[row]), self.observed[row], self.expected[row], self.score[row], self.volume)


@dataclass(frozen=True, slots=True)
class TermVerdict:
    """What each scale says about one term."""

    slot: int
    observed: Ints
    expected: Floats
    score: Floats
    volume: Ints

    def best(self, scales: NDArray[np.bool_]) -> int:
        """Which of these scales says so most clearly; the shortest of equals."""
        return int(np.argmax(np.where(scales, self.score, -1.0)))


def enough(
    observed: Ints, expected: Floats, score: Floats, volume: Ints, params: SurgeParams, *, watched: bool, share: float = 1.0
) -> NDArray[np.bool_]:
    """Where evidence, support and ratio suffice: of one term by scale, or of many by term and scale."""
    found = score >= least_score(volume, params, watched=watched)
    if not found.any():
        return np.asarray(found)
    found &= observed >= share * support_of(volume, params, watched=watched)
    return np.asarray(found & (observed >= np.array(params.ratios) * expected))


def judge(table: TermTable, slots: Ints, surging: Ints, params: SurgeParams) -> Verdict:
    """Scores of the settled terms of these slots that may open a surge, get a track or have an open surge.

    `slots` start with TOTAL; `surging`: which of them have one. A term that merely follows all others has no surge: what is
    expected of it grows with them.
    """
    open_ = np.zeros(len(slots), np.bool_)
    open_[surging] = True
    places, observed, expected, score, volume = _judge(table.slots, slots, open_, table.clock, table.weights, _Limits.of(params))
    return Verdict(places, table.slots["hash"][slots[places]], slots[places], observed, expected, score, volume)


class _Limits(NamedTuple):
    """The parameters as the loop takes them."""

    support: tuple[int, int, int, int]
    warm_events: int
    growth_events: float
    growth_cap: float
    min_bins: float
    backing: float
    unbacked: float
    lasting: float  # score of one deviation that lasts
    tide_hours: float

    @classmethod
    def of(cls, params: SurgeParams) -> _Limits:
        one, two, three, four = map(min, params.support, params.support_watched)
        return cls(
            (one, two, three, four),
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
) -> tuple[Ints, Ints, Floats, Floats, Ints]:
    """Places among the slots, and by place and scale: observed, expected, score; and what was observed of all."""
    volume, usual, spreads, counts = np.empty(SCALES, np.int64), np.empty(SCALES), np.empty(SCALES), np.empty(SCALES, np.int64)
    observe(records[TOTAL], clock, volume)
    expect(records[TOTAL], clock, weights, usual, spreads)
    places, found = np.empty(slots.size, np.int64), 0
    observed, expected, score = (
        np.empty((slots.size, SCALES), np.int64),
        np.empty((slots.size, SCALES)),
        np.empty((slots.size, SCALES)),
    )
    for place in range(slots.size):
        record = records[slots[place]]
        if slots[place] == TOTAL:
            continue
        observe(record, clock, counts)
        wanted = surging[place] or counts[LONGEST] >= limits.warm_events
        for scale in range(SCALES):
            wanted = wanted or counts[scale] >= limits.support[scale]
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
            found += 1
    return places[:found].copy(), observed[:found].copy(), expected[:found].copy(), score[:found].copy(), volume


@compiled
def _lasting(observed: Ints, expected: Floats, spreads: Floats, height: float) -> float:
    """Deviations, for what stands out at every length from minutes to half a day: many terms burst, but few do all day."""
    together = max(height, 0.0)
    for scale in (LASTING_SCALE, LONGEST):
        mean = expected[scale]
        together *= max((observed[scale] - mean - 1.0) / ((mean + spreads[scale] * mean**2) ** 0.5 + 1.0), 0.0)
    return float(np.cbrt(together))
