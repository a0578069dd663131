"""What every scale says about the terms that a tick touched: seen, expected, and how surprising that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.baseline import MAX_SCORE, Floats, Ints, Weights, surprise
from streams.compiled import compiled
from streams.surge_params import SCORE_VOLUME, SurgeParams
from streams.term_records import SCALES, Clock, PerScaleFloat, PerScaleInt, Records, expect, observe, stands
from streams.term_table import TOTAL, Hashes, TermTable, touch

LASTING_SCALE = 2
"""5 minutes: a surge stays open while any scale up to this one or the one that opened it says so."""

LONGEST = SCALES - 1

_WARM_SHARE = 0.1  # of the events that open a surge
_URGENT_SHARE = 0.25


MAY_OPEN, MAY_OPEN_WATCHED, URGENT, WARM = 1, 2, 4, 8
"""Flags of a term: a scale has seen enough for a surge (what else it takes, `open_surge` knows), or enough if it is watched, or a
share of it, so that its authors and posts have to be known; it has reason to be tracked."""


class News(NamedTuple):
    """What was counted of terms since the last tick, one row each by window."""

    slots: Ints  # of the terms; -1: the table has no room for it
    watched: NDArray[np.bool_]
    windows: Ints  # starts, ms
    events: Ints


class Touched(NamedTuple):
    """The total of all and the distinct terms with news or an open surge."""

    slots: Ints
    rows: Ints  # of each row of news, where its term is among them; -1: nowhere
    certain: NDArray[np.bool_]  # whether their news is to be written down: watched, or with a track from before
    reason: NDArray[np.bool_]  # whether there is reason to write it down: watched or warm
    others: Ints  # rows of the verdict: with reason, not certain


class Verdict(NamedTuple):
    """What each scale (columns) says about each term (rows) that it may have something to say about."""

    places: Ints  # among the touched
    keys: Hashes
    slots: Ints
    observed: Ints
    expected: Floats
    score: Floats
    flags: NDArray[np.uint8]
    may_open: bool  # any of them, watched or not
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


def count(table: TermTable, news: News, surging: Ints, limits: Limits) -> tuple[Touched, Verdict]:
    """Adds the news to its terms and to the total of all; scores of those that may open a surge, get a track or have an open surge.

    `surging`: slots of the terms with an open surge. A term that merely follows all others has no surge: what is expected of it
    grows with them.
    """
    return _count(table.slots, table.scratch, table.kept, news, surging, table.clock, table.weights, limits)


@compiled
def chosen(touched: Touched, hashes: Hashes, windows: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The rows of news that are certain to be written down, by window and hash, and whether there is reason to."""
    some, size = np.empty(touched.rows.size, np.int64), 0
    for row in range(touched.rows.size):
        if touched.rows[row] >= 0 and touched.certain[touched.rows[row]]:
            some[size] = row
            size += 1
    some = some[:size].copy()
    if size > 1:
        some = some[np.argsort(hashes[some], kind="mergesort")]
        some = some[np.argsort(windows[some], kind="mergesort")]
    return some, touched.reason[touched.rows[some]]


class Limits(NamedTuple):
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

    @classmethod
    def of(cls, params: SurgeParams) -> Limits:
        """Those of these parameters."""
        return cls(
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
def _count(
    records: Records,
    scratch: Ints,
    kept: NDArray[np.bool_],
    news: News,
    surging: Ints,
    clock: Clock,
    weights: Weights,
    limits: Limits,
) -> tuple[Touched, Verdict]:
    size = news.slots.size
    slots, places = touch(records, scratch, news.slots, news.windows, news.events, surging, clock, weights)
    open_ = np.zeros(slots.size, np.bool_)
    for place in places[size:]:
        open_[place] = True
    verdict = _judge(records, slots, open_, clock, weights, limits)
    certain, reason = kept[slots], np.zeros(slots.size, np.bool_)
    for row in range(size):
        if news.watched[row] and places[row] >= 0:
            certain[places[row]] = reason[places[row]] = True
    others, found = np.empty(verdict.places.size, np.int64), 0
    for row in range(verdict.places.size):
        if verdict.flags[row] & WARM:
            reason[verdict.places[row]] = True
            if not certain[verdict.places[row]]:
                others[found] = row
                found += 1
    return Touched(slots, places[:size], certain, reason, others[:found].copy()), verdict


@compiled
def _judge(records: Records, slots: Ints, surging: NDArray[np.bool_], clock: Clock, weights: Weights, limits: Limits) -> Verdict:
    """On these settled slots, of which `surging` have an open surge."""
    volume, usual, spreads, counts = np.empty(SCALES, np.int64), np.empty(SCALES), np.empty(SCALES), np.empty(SCALES, np.int64)
    observe(records[TOTAL], clock, volume)
    expect(records[TOTAL], clock, weights, usual, spreads)
    bar = _bar(volume, limits)
    places, found, size = np.empty(slots.size, np.int64), 0, slots.size
    observed, expected, score = np.empty((size, SCALES), np.int64), np.empty((size, SCALES)), np.empty((size, SCALES))
    flags, enough, may_open = np.zeros(size, np.uint8), np.zeros((size, SCALES, 2), np.bool_), False
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
            may_open |= flags[found] & (MAY_OPEN | MAY_OPEN_WATCHED) != 0
            found += 1
    own = slots[places[:found]]
    return Verdict(
        places[:found].copy(),
        records["hash"][own],
        own,
        observed[:found].copy(),
        expected[:found].copy(),
        score[:found].copy(),
        flags[:found].copy(),
        may_open,
        enough[:found].copy(),
        bar,
    )


@compiled
def _bar(volume: Ints, limits: Limits) -> Bar:
    """A big stream has many small things: there are more to be wrong about."""
    bar = Bar(np.empty(2), np.empty((2, SCALES)))
    bar.score[0] = limits.score + math.log10(max(volume[LONGEST] / SCORE_VOLUME, 1.0))
    bar.score[1] = limits.score_watched
    for scale in range(SCALES):
        bar.support[0, scale] = max(float(limits.support[scale]), limits.support_root * math.sqrt(max(volume[scale], 0)))
        bar.support[1, scale] = limits.support_watched[scale]
    return bar


@compiled
def _flags(counts: Ints, expected: Floats, score: Floats, bar: Bar, limits: Limits, enough: NDArray[np.bool_]) -> int:
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
