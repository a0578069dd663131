"""The record of a term, its recent counts in rings and its past in discounted sums, and what time and events make of it.

What becomes of a record depends on itself and the clock only, not on the records it is handled with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.baseline import SCALES_MS, Floats, Ints, Weights, clip, decayed, predict
from streams.compiled import compiled
from streams.tide import Tide, ebb, height, rise

Records: TypeAlias = NDArray[Any]
PerScaleInt: TypeAlias = tuple[int, int, int, int]
PerScaleFloat: TypeAlias = tuple[float, float, float, float]

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

SCALES = len(SCALES_MS)
_HOUR = SCALES - 1
_STARTS = tuple(span.start for span in SPANS)


class Clock(NamedTuple):
    """A moment of the log and what follows from it for all records."""

    now_ms: int
    newest: PerScaleInt  # bin of now, per level
    closed: PerScaleInt  # first bin that is still open, per level
    rates: PerScaleFloat  # per scale: how many times a weight halves in one bin
    exposure: PerScaleFloat  # per scale: discounted number of bins
    hour_left: float  # what one hour leaves of the weight of the past

    @classmethod
    def at(cls, now_ms: int, exposure: Sequence[float], rates: PerScaleFloat, settle_ms: int) -> Clock:
        """The clock at this log time, with what the detector has seen of the log by then."""
        ten_s, minute, minutes, hour = SCALES_MS
        one, two, three, four = exposure
        newest = now_ms // ten_s, now_ms // minute, now_ms // minutes, now_ms // hour
        settled_ms = now_ms - settle_ms
        closed = settled_ms // ten_s, settled_ms // minute, settled_ms // minutes, settled_ms // hour
        return cls(now_ms, newest, closed, rates, (one, two, three, four), 2.0 ** -rates[-1])


@compiled
def settle(record: Any, clock: Clock, weights: Weights) -> None:
    """Learns the bins that closed since the record was last touched and clears what fell out of its rings."""
    seen, shortest = record.seen_ms, SCALES_MS[0]
    # a bin of a longer scale begins and closes with one of the shortest
    if (seen - weights.settle_ms) // shortest < clock.closed[0] or seen // shortest < clock.newest[0]:
        for level in range(SCALES):
            newest, old = seen // SCALES_MS[level], (seen - weights.settle_ms) // SCALES_MS[level]
            if old < clock.closed[level]:
                _learn(record, level, old, newest, clock, weights)
            if newest < clock.newest[level]:
                _clear(record, level, newest, clock.newest[level])
    record.seen_ms = clock.now_ms


@compiled
def add(record: Any, clock: Clock, window_start_ms: int, events: int) -> None:
    """Counts events of this window in a settled record; what is too old is left out."""
    for level in range(SCALES):
        bin_ = min(window_start_ms // SCALES_MS[level], clock.newest[level])
        if bin_ > clock.newest[level] - RINGS[level]:
            record.rings[_STARTS[level] + bin_ % RINGS[level]] += events


@compiled
def observe(record: Any, clock: Clock, counts: Ints) -> None:
    """Events in the last 10 s, 1 min, 5 min and 1 h of a settled record, without those before its `mask_ms`."""
    for scale in range(SCALES):
        level, width = ROLLING[scale]
        newest, total = clock.newest[level], 0
        for age in range(OPEN_BINS if scale == 0 else width):
            if (newest - age) * SCALES_MS[level] >= record.mask_ms:
                count = record.rings[_STARTS[level] + (newest - age) % RINGS[level]]
                total = max(total, count) if scale == 0 else total + count
        counts[scale] = max(total, 0)


@compiled
def expect(record: Any, clock: Clock, weights: Weights, means: Floats, spreads: Floats) -> None:
    """Mean and dispersion at every scale; what a scale does not know yet it takes from the next shorter one.

    Dispersion falls with the length of the scale if bins are independent and stays if they are not: the middle is assumed.
    """
    prior = weights.prior_dispersion
    for scale in range(SCALES):
        if scale:
            prior = spreads[scale - 1] * (SCALES_MS[scale - 1] / SCALES_MS[scale]) ** 0.5
        exposure = clock.exposure[scale]
        means[scale], spreads[scale] = predict(
            np.float64(record.sums[scale]), np.float64(record.pairs[scale]), exposure, prior, weights
        )


@compiled
def stands(record: Any, clock: Clock) -> float:
    """How far above its usual level of half a day a settled record stands, in deviations."""
    running = 0.0
    for bin_ in range(clock.closed[_HOUR], clock.newest[_HOUR] + 1):
        running += record.rings[_STARTS[_HOUR] + bin_ % RINGS[_HOUR]]
    part = clock.now_ms / SCALES_MS[_HOUR] - clock.closed[_HOUR]
    return height(tide_of(record), max(running, 0.0), part, max(clock.exposure[_HOUR], 1.0))


@compiled
def tide_of(record: Any) -> Tide:
    """The tide of a record or cell."""
    return Tide(np.float64(record.tide[0]), np.float64(record.tide[1]), np.float64(record.tide[2]))


@compiled
def set_tide(record: Any, tide: Tide) -> None:
    """The tide of a record or cell is this."""
    record.tide[0], record.tide[1], record.tide[2] = tide.level, tide.mean, tide.square


@compiled
def _learn(record: Any, level: int, old: int, newest: int, clock: Clock, weights: Weights) -> None:
    """The bins of this level from `old` on that are closed now; `newest` is the last that can hold something."""
    closed, rate, exposure = clock.closed[level], clock.rates[level], clock.exposure[level]
    sums = decayed(np.float64(record.sums[level]), closed - old, rate)
    pairs = decayed(np.float64(record.pairs[level]), closed - old, rate)
    mean, spread = predict(sums, pairs, exposure, weights.prior_dispersion, weights)
    for bin_ in range(max(old, newest - RINGS[level] + 1), min(newest + 1, closed)):
        count = record.rings[_STARTS[level] + bin_ % RINGS[level]]
        if count > 0:
            learnt = clip(float(count), mean, spread, weights)
            left = decayed(learnt, closed - 1 - bin_, rate)
            sums += left
            pairs += left * max(learnt - 1.0, 0.0)
    record.sums[level], record.pairs[level] = sums, pairs
    if level == _HOUR:
        _learn_hours(record, old, newest, clock)


@compiled
def _learn_hours(record: Any, old: int, newest: int, clock: Clock) -> None:
    """The tide with the hours that closed since; only the first of them can have events."""
    tide, closed = tide_of(record), clock.closed[_HOUR]
    for hour in range(old, min(old + RINGS[_HOUR] - 1, closed)):
        count = record.rings[_STARTS[_HOUR] + hour % RINGS[_HOUR]] if hour <= newest else 0
        tide = rise(tide, max(float(count), 0.0), clock.hour_left)
    set_tide(record, ebb(tide, closed - old - RINGS[_HOUR] + 1, clock.hour_left))


@compiled
def _clear(record: Any, level: int, newest: int, now: int) -> None:
    """The places of the bins after `newest` up to now."""
    for bin_ in range(max(newest + 1, now - RINGS[level] + 1), now + 1):
        record.rings[_STARTS[level] + bin_ % RINGS[level]] = 0
