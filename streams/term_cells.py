"""Hashed cells: the pasts of terms that have no slot any more. A cell keeps the larger of its terms' pasts; a term has two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.baseline import SCALES_MS, Ints, Weights, decayed
from streams.compiled import compiled
from streams.term_records import RINGS, SCALES, SPANS, Clock, Records, set_tide, settle, tide_of
from streams.tide import Tide, ebb

CELL = np.dtype([("seen_ms", "<i8"), ("sums", "<f4", (SCALES,)), ("pairs", "<f4", (SCALES,)), ("tide", "<f4", (3,))])

_HOUR = SCALES - 1
_STARTS = tuple(span.start for span in SPANS)
_HALF = np.uint64(32)


@compiled
def admit(records: Records, cells: Records, hashes: NDArray[np.uint64], slots: Ints, clock: Clock, weights: Weights) -> None:
    """These free slots are of these terms now, each with the smaller of the pasts of its two cells."""
    size = np.uint64(len(cells))
    for i in range(hashes.size):
        record = records[slots[i]]
        record.hash, record.seen_ms = hashes[i], clock.now_ms
        one, other = cells[hashes[i] % size], cells[(hashes[i] >> _HALF) % size]
        for scale in range(SCALES):
            age, other_age = _age(one, scale, clock, weights), _age(other, scale, clock, weights)
            rate = clock.rates[scale]
            record.sums[scale] = min(
                decayed(np.float64(one.sums[scale]), age, rate), decayed(np.float64(other.sums[scale]), other_age, rate)
            )
            record.pairs[scale] = min(
                decayed(np.float64(one.pairs[scale]), age, rate), decayed(np.float64(other.pairs[scale]), other_age, rate)
            )
        tide = ebb(tide_of(one), _age(one, _HOUR, clock, weights), clock.hour_left)
        other_tide = ebb(tide_of(other), _age(other, _HOUR, clock, weights), clock.hour_left)
        level, mean = min(tide.level, other_tide.level), min(tide.mean, other_tide.mean)
        set_tide(record, Tide(level, mean, min(tide.square, other_tide.square)))


@compiled
def put_away(records: Records, cells: Records, slots: Ints, clock: Clock, weights: Weights) -> None:
    """Raises both cells of each of these terms to its past, counts that are not closed yet included."""
    size = np.uint64(len(cells))
    for slot in slots:
        record = records[slot]
        settle(record, clock, weights)
        for place in (record.hash % size, (record.hash >> _HALF) % size):
            cell = cells[place]
            _refresh(cell, clock, weights)
            for scale in range(SCALES):
                cell.sums[scale] = max(cell.sums[scale], record.sums[scale] + _pending(record, scale, clock))
                cell.pairs[scale] = max(cell.pairs[scale], record.pairs[scale])
            for i in range(3):
                cell.tide[i] = max(cell.tide[i], record.tide[i])


@compiled
def _age(cell: Any, scale: int, clock: Clock, weights: Weights) -> int:
    """How many bins have closed since the cell was last touched."""
    return int(clock.closed[scale] - (cell.seen_ms - weights.settle_ms) // SCALES_MS[scale])


@compiled
def _refresh(cell: Any, clock: Clock, weights: Weights) -> None:
    for scale in range(SCALES):
        age, rate = _age(cell, scale, clock, weights), clock.rates[scale]
        cell.sums[scale], cell.pairs[scale] = (
            decayed(np.float64(cell.sums[scale]), age, rate),
            decayed(np.float64(cell.pairs[scale]), age, rate),
        )
    set_tide(cell, ebb(tide_of(cell), _age(cell, _HOUR, clock, weights), clock.hour_left))
    cell.seen_ms = clock.now_ms


@compiled
def _pending(record: Any, level: int, clock: Clock) -> int:
    """Events in bins of this level that are not closed yet."""
    total = 0
    for bin_ in range(max(clock.closed[level], clock.newest[level] - RINGS[level] + 1), clock.newest[level] + 1):
        total += max(record.rings[_STARTS[level] + bin_ % RINGS[level]], 0)
    return total
