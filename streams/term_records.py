"""The record of a term, its recent counts in rings and its past in discounted sums, and arithmetic on many records at once.

All levels of all records are columns of one array: most ticks touch ten terms, and then it is the number of steps that costs.
What becomes of a record depends on itself and the clock only, not on the records it is handled with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.baseline import SCALES_MS, BaselineParams, Floats, Ints, clip, predict
from streams.tide import ebb, height, rise

Records: TypeAlias = NDArray[Any]

# Bins kept per level: those of the rolling sums below plus, on every level, those that may still wait to be learnt.
RINGS = (8, 7, 14, 3)
# The last `scale` of a scale is the sum of so many bins of a finer level, the newest one unfinished.
ROLLING = ((0, 1), (0, 6), (1, 5), (2, 12))
# An event may be this many 10 s bins old when it is seen; the 10 s scale looks at the fullest of these bins.
OPEN_BINS = 4

RECORD = np.dtype(
    [
        ("hash", "<u8"),  # 0: free
        ("seen_ms", "<i8"),  # log time up to which bins were learnt and rings are clear
        ("mask_ms", "<i8"),  # counts before it do not open a surge: they belonged to one that faded
        ("rings", "<i4", (sum(RINGS),)),  # one after the other
        ("sums", "<f4", (len(SCALES_MS),)),
        ("pairs", "<f4", (len(SCALES_MS),)),
        ("tide", "<f4", (3,)),  # of streams.tide
    ]
)

SPANS = [slice(sum(RINGS[:level]), sum(RINGS[: level + 1])) for level in range(len(RINGS))]
"""The columns of `rings` that each level has."""

_LENGTHS = np.array(SCALES_MS)
_SIZES = np.array(RINGS)
_STARTS = np.array([span.start for span in SPANS])
# Of each column of `rings`: its level, the length of its bins, the size of its ring and its place in it.
LEVEL = np.repeat(np.arange(len(RINGS)), RINGS)
_LENGTH, _SIZE, _PLACE = _LENGTHS[LEVEL], _SIZES[LEVEL], np.concatenate([np.arange(size) for size in RINGS])
# How old a bin in this column may be to belong to the 10 s scale, and to the sum of each longer scale (columns of this).
_OPEN = np.where(LEVEL == 0, OPEN_BINS, 0)
_WIDTHS = np.stack([np.where(level == LEVEL, width, 0) for level, width in ROLLING[1:]], axis=1)

_AT_ONCE = 512  # records whose columns stay in the cache from step to step


@dataclass(frozen=True, slots=True)
class Clock:
    """A moment of the log and what follows from it for all records."""

    now_ms: int
    newest: Ints  # bin of now, per level
    closed: Ints  # first bin that is still open, per level
    bins: Ints  # the bin that each column of `rings` holds
    open_bins: NDArray[np.bool_]  # columns whose bin may still get events
    fullest: Ints  # columns of which the 10 s scale takes the fullest
    rolling: Floats  # columns that each longer scale adds up
    rates: Floats  # per scale: how many times a weight halves in one bin
    exposure: Floats  # per scale: discounted number of bins

    @property
    def hour_left(self) -> float:
        """What one hour leaves of the weight of the past."""
        return float(np.exp2(-self.rates[-1]))

    @classmethod
    def at(cls, now_ms: int, exposure: Sequence[float], rates: Floats, params: BaselineParams) -> Clock:
        """The clock at this log time, with what the detector has seen of the log by then."""
        newest, closed = now_ms // _LENGTHS, (now_ms - params.settle_ms) // _LENGTHS
        age = _ages(newest)
        bins = newest[LEVEL] - age
        rolling = (age[:, None] < _WIDTHS).astype(np.float64)
        fullest = np.flatnonzero(age < _OPEN)
        return cls(now_ms, newest, closed, bins, bins >= closed[LEVEL], fullest, rolling, rates, np.array(exposure))


def settle(records: Records, clock: Clock, params: BaselineParams) -> None:
    """Learn the bins that closed since these were last touched and clear what fell out of their rings."""
    shortest, seen = SCALES_MS[0], records["seen_ms"]
    # a bin of a longer scale begins and closes with one of the shortest
    due = ((seen - params.settle_ms) // shortest < clock.closed[0]) | (seen // shortest < clock.newest[0])
    rows = np.flatnonzero(due)
    for start in range(0, len(rows), _AT_ONCE):
        some = records[rows[start : start + _AT_ONCE]]
        _learn(some, clock, params)
        records[rows[start : start + _AT_ONCE]] = some
    records["seen_ms"] = clock.now_ms


def add(records: Records, clock: Clock, places: Ints, window_start_ms: Ints, events: Ints) -> None:
    """Count events of these windows in the settled records of these places, which may repeat; what is too old is left out."""
    bins = np.minimum(window_start_ms[:, None] // _LENGTHS, clock.newest)
    cells = places[:, None] * len(LEVEL) + _STARTS + bins % _SIZES
    amounts = events.astype(np.int32).repeat(len(RINGS)).reshape(cells.shape)
    fresh = bins > clock.newest - _SIZES
    rings = records["rings"].ravel()  # a copy
    np.add.at(rings, cells[fresh], amounts[fresh])
    records["rings"] = rings.reshape(len(records), -1)


def observed(records: Records, clock: Clock) -> Ints:
    """Events in the last 10 s, 1 min, 5 min and 1 h (columns) of settled records, without those before `mask_ms`."""
    starts, rings, mask = clock.bins * _LENGTH, records["rings"], records["mask_ms"]
    if mask.max(initial=0) > starts.min():
        rings = np.where(starts >= mask[:, None], rings, 0)
    out = np.empty((len(records), len(SCALES_MS)), np.int64)
    out[:, 0] = rings[:, clock.fullest].max(axis=1, initial=0)
    out[:, 1:] = rings.astype(np.float64) @ clock.rolling  # exact: counts are far below 2^53
    return np.maximum(out, 0)


def heights(records: Records, clock: Clock) -> Floats:
    """How far above its usual level of half a day each settled record stands, in deviations."""
    rings, hour = records["rings"][:, SPANS[-1]], _LENGTHS[-1]
    running = sum(rings[:, bin_ % RINGS[-1]] for bin_ in range(clock.closed[-1], clock.newest[-1] + 1))
    part = clock.now_ms / hour - clock.closed[-1]
    return height(records["tide"].astype(np.float64), np.maximum(running, 0), part, max(float(clock.exposure[-1]), 1.0))


def decayed(values: Floats, age: Ints, clock: Clock) -> Floats:
    """Values per scale (last axis) after so many bins of each."""
    return np.asarray(values * np.exp2(-np.maximum(age, 0) * clock.rates))


def _learn(records: Records, clock: Clock, params: BaselineParams) -> None:
    seen = records["seen_ms"][:, None]
    newest, old = seen // _LENGTHS, (seen - params.settle_ms) // _LENGTHS
    newest_bins = newest[:, LEVEL]
    bins = newest_bins - _ages(newest)
    new = clock.closed[LEVEL]
    weight = np.exp2(-np.maximum(new - 1 - bins, 0) * clock.rates[LEVEL])
    weight *= (bins >= old[:, LEVEL]) & (bins < new)
    age = clock.closed - old
    sums, pairs = decayed(records["sums"], age, clock), decayed(records["pairs"], age, clock)
    mean, spread = predict(sums, pairs, clock.exposure, params.prior_dispersion, params)
    counts = clip(records["rings"].astype(np.float64), mean[:, LEVEL], spread[:, LEVEL], params)
    learnt = weight * counts
    learnt_pairs = learnt * np.maximum(counts - 1.0, 0.0)
    for level, span in enumerate(SPANS):
        sums[:, level] += learnt[:, span].sum(axis=1)
        pairs[:, level] += learnt_pairs[:, span].sum(axis=1)
    records["sums"], records["pairs"] = sums, pairs
    hours = np.flatnonzero(age[:, -1] > 0)
    if len(hours):
        records["tide"][hours] = _tide(records[hours], old[hours, -1], newest[hours, -1], clock)
    records["rings"] *= clock.bins <= newest_bins


def _tide(records: Records, old: Ints, newest: Ints, clock: Clock) -> Floats:
    """The tides of these records with the hours that closed since; only the first of them can have events."""
    tide, rings = records["tide"].astype(np.float64), records["rings"][:, SPANS[-1]]
    for ahead in range(RINGS[-1] - 1):
        hour = old + ahead
        counts = np.where(hour <= newest, rings[np.arange(len(rings)), hour % RINGS[-1]], 0)
        tide = np.where((hour < clock.closed[-1])[:, None], rise(tide, np.maximum(counts, 0), clock.hour_left), tide)
    return ebb(tide, np.maximum(clock.closed[-1] - old - RINGS[-1] + 1, 0), clock.hour_left)


def _ages(newest: Ints) -> Ints:
    """How many bins every column of `rings` is behind the newest bin of its level (last axis)."""
    age = (newest % _SIZES)[..., LEVEL] - _PLACE
    age += _SIZE * (age < 0)
    return np.asarray(age)
