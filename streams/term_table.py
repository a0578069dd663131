"""Recent counts and the past of very many terms in bounded memory; a call takes time for the terms it touches, not for time passed.

Active terms have exact counts: rings of 10 s, 1 min, 5 min and 1 h bins, 184 bytes a slot and about 150 more for its place in the
dict, at most `max_terms` of them. When the table is full the least active terms give way (ties by hash, so always the same) and
their past goes to hashed cells, 40 bytes each. A cell keeps the larger of its terms' pasts, not their sum, and a term reads the
smaller of its two cells: a term that comes back is never deemed newer than it is, and a flood of one-off terms cannot fill them.
A slot that is not touched keeps its bytes; decay is applied when it is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.baseline import (
    SCALES_MS,
    BaselineParams,
    Floats,
    Ints,
    advance_exposure,
    bin_of,
    clip,
    closed_bin,
    decay,
    predict,
    predict_scales,
)

Rows: TypeAlias = NDArray[Any]
Hashes: TypeAlias = NDArray[np.uint64]

# Bins kept per level: those of the rolling sums below plus, on every level, those that may still wait to be learnt.
_RINGS = (8, 7, 14, 3)
# The last `scale` of a scale is the sum of so many bins of a finer level, the newest one unfinished.
_ROLLING = ((0, 1), (0, 6), (1, 5), (2, 12))
# An event may be this many 10 s bins old when it is seen; the 10 s scale looks at the fullest of these bins.
_OPEN_BINS = 4

_SLOT = np.dtype(
    [
        ("hash", "<u8"),  # 0: free
        ("seen_ms", "<i8"),  # log time up to which bins were learnt and rings are clear
        ("mask_ms", "<i8"),  # counts before it do not open a surge: they belonged to one that faded
        *[(f"ring{level}", "<i4", (size,)) for level, size in enumerate(_RINGS)],
        ("sums", "<f4", (len(SCALES_MS),)),
        ("pairs", "<f4", (len(SCALES_MS),)),
    ]
)
_CELL = np.dtype([("seen_ms", "<i8"), ("sums", "<f4", (len(SCALES_MS),)), ("pairs", "<f4", (len(SCALES_MS),))])

PAGE = 1024
"""Slots or cells per snapshot section."""

TOTAL = 0
"""The slot of all terms together."""


class TermTable:
    """Counts and pasts by slot. The order in which terms of one call are given does not matter."""

    def __init__(self, max_terms: int, cells: int, params: BaselineParams) -> None:
        self.max_terms = max_terms
        self.params = params
        self.exposure = [0.0] * len(SCALES_MS)
        self.now_ms: int | None = None
        self.slots: Rows = np.zeros(PAGE, _SLOT)
        self.cells: Rows = np.zeros(cells, _CELL)
        self.pinned: set[int] = set()  # hashes of terms that never give way
        self._where: dict[int, int] = {}
        self._free: list[int] = []
        self._high = 1  # slots from here on were never used; slot 0 is TOTAL

    def __len__(self) -> int:
        return len(self._where)

    def advance(self, tick_ms: int, observed: bool) -> None:
        """Move the clock; `observed` is whether there was a log to observe since the last call."""
        for scale in range(len(SCALES_MS)):
            if self.now_ms is not None:
                bins = int(closed_bin(tick_ms, scale, self.params) - closed_bin(self.now_ms, scale, self.params))
                self.exposure[scale] = advance_exposure(self.exposure[scale], bins, scale, observed, self.params)
        if self.now_ms is None:
            self.slots["seen_ms"][TOTAL] = tick_ms
        self.now_ms = tick_ms

    def find(self, hashes: Hashes) -> Ints:
        """Slots of these distinct term hashes, in their order; new terms get one, or -1 if even eviction leaves no room."""
        get = self._where.get
        slots = np.array([get(key, -1) for key in hashes.tolist()], np.int64)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            room = self.max_terms - len(self._where)
            if len(missing) > room:
                room += self._evict(len(missing) - room, slots[slots >= 0])
            slots[missing[:room]] = self._admit(hashes[missing[:room]])
        return slots

    def slots_of(self, hashes: Hashes) -> Ints:
        """Slots of terms that have one."""
        return np.fromiter((self._where[key] for key in hashes.tolist()), np.int64, len(hashes))

    def add(self, slots: Ints, window_start_ms: Ints, events: Ints) -> None:
        """Count events of these windows; slots may repeat and must have been settled. Too old for a ring: left out there."""
        assert self.now_ms is not None
        for level, size in enumerate(_RINGS):
            newest = int(bin_of(self.now_ms, level))
            bins = np.minimum(bin_of(window_start_ms, level), newest)
            fresh = bins > newest - size
            np.add.at(self.slots[f"ring{level}"], (slots[fresh], bins[fresh] % size), events[fresh].astype(np.int32))

    def settle(self, slots: Ints) -> None:
        """Learn the bins that closed since these distinct slots were last touched and clear what fell out of their rings."""
        assert self.now_ms is not None
        seen = self.slots["seen_ms"][slots]
        for level, size in enumerate(_RINGS):
            behind = np.flatnonzero(bin_of(seen, level) < bin_of(self.now_ms, level))
            due = np.flatnonzero(closed_bin(seen, level, self.params) < closed_bin(self.now_ms, level, self.params))
            if len(due):
                self._learn(level, slots[due], seen[due])
            if len(behind):
                name, at = f"ring{level}", slots[behind]
                kept = _bins_in_ring(bin_of(self.now_ms, level)[None], size) <= bin_of(seen[behind], level)[:, None]
                self.slots[name][at] *= kept
        self.slots["seen_ms"][slots] = self.now_ms

    def mask(self, slot: int, before_ms: int) -> None:
        """Leave out what this slot counted in windows that started before."""
        self.slots["mask_ms"][slot] = before_ms

    def observed(self, slots: Ints) -> Ints:
        """Events in the last 10 s, 1 min, 5 min and 1 h (columns) of settled slots, without those before `mask_ms`."""
        assert self.now_ms is not None
        mask = self.slots["mask_ms"][slots][:, None]
        out = np.zeros((len(slots), len(SCALES_MS)), np.int64)
        for scale, (level, width) in enumerate(_ROLLING):
            now = bin_of(self.now_ms, level)
            bins = _bins_in_ring(now[None], _RINGS[level])
            counts = np.where(bins * SCALES_MS[level] >= mask, self.slots[f"ring{level}"][slots], 0)
            if scale == 0:
                out[:, 0] = np.where(bins > now - _OPEN_BINS, counts, 0).max(axis=1)
            else:
                out[:, scale] = np.where(bins > now - width, counts, 0).sum(axis=1)
        return np.maximum(out, 0)

    def expected(self, slots: Ints) -> tuple[Floats, Floats]:
        """Mean and dispersion at every scale (columns) of settled slots."""
        sums, pairs = self.slots["sums"][slots].astype(np.float64), self.slots["pairs"][slots].astype(np.float64)
        return predict_scales(sums, pairs, self.exposure, self.params)

    def run(self, slot: int, scale: int, floor: float) -> tuple[int, int]:
        """Start of the earliest bin within the last `scale` that holds more than `floor` per scale, and the events since."""
        assert self.now_ms is not None
        level, width = _ROLLING[scale]
        length, size = SCALES_MS[level], _RINGS[level]
        floor *= length / SCALES_MS[scale]
        width = _OPEN_BINS if scale == 0 else width
        now = int(bin_of(self.now_ms, level))
        ring, mask = self.slots[f"ring{level}"][slot], int(self.slots["mask_ms"][slot])
        bins = [i for i in range(now - width + 1, now + 1) if i * length >= mask]
        first = next((i for i in bins if ring[i % size] > floor), now)
        return first * length, int(sum(ring[i % size] for i in bins if i >= first))

    def snapshot(self) -> dict[str, bytes]:
        """Pages of slots and cells that hold anything; a page nobody touched keeps its bytes."""
        used = int(np.flatnonzero(self.slots["hash"])[-1]) + 1 if self._where else 1
        sections = {f"terms/{at // PAGE:05d}": self.slots[at : at + PAGE].tobytes() for at in range(0, used, PAGE)}
        for at in range(0, len(self.cells), PAGE):
            page = self.cells[at : at + PAGE]
            if page["seen_ms"].any():
                sections[f"hashed/{at // PAGE:05d}"] = page.tobytes()
        return sections

    def restore(self, sections: Mapping[str, bytes]) -> None:
        """Take over the pages of `snapshot`; clock and exposure are the caller's to set."""
        pages = sorted(name for name in sections if name.startswith("terms/"))
        size = PAGE
        while size < PAGE * len(pages):
            size *= 2
        self.slots = np.zeros(size, _SLOT)
        for name in sections:
            kind, _, number = name.partition("/")
            if kind in ("terms", "hashed"):
                page, array = int(number) * PAGE, self.slots if kind == "terms" else self.cells
                rows = np.frombuffer(sections[name], array.dtype)
                array[page : page + len(rows)] = rows
        used = np.flatnonzero(self.slots["hash"])
        self._where = dict(zip(self.slots["hash"][used].tolist(), used.tolist(), strict=True))
        self._high = int(used[-1]) + 1 if len(used) else 1
        self._free = sorted(set(range(1, self._high)) - set(used.tolist()))

    def _learn(self, level: int, slots: Ints, seen: Ints) -> None:
        old, new = closed_bin(seen, level, self.params), closed_bin(np.full(len(seen), self.now_ms), level, self.params)
        bins = _bins_in_ring(bin_of(seen, level), _RINGS[level])
        weight = decay(new[:, None] - 1 - bins, level, self.params) * ((bins >= old[:, None]) & (bins < new[:, None]))
        left = decay(new - old, level, self.params)
        sums, pairs = self.slots["sums"][slots, level] * left, self.slots["pairs"][slots, level] * left
        mean, spread = predict(sums, pairs, self.exposure[level], self.params.prior_dispersion, self.params)
        counts = clip(self.slots[f"ring{level}"][slots].astype(np.float64), mean[:, None], spread[:, None], self.params)
        self.slots["sums"][slots, level] = sums + (weight * counts).sum(axis=1)
        self.slots["pairs"][slots, level] = pairs + (weight * counts * np.maximum(counts - 1.0, 0.0)).sum(axis=1)

    def _admit(self, hashes: Hashes) -> Ints:
        slots = np.empty(len(hashes), np.int64)
        for i, key in enumerate(hashes.tolist()):
            if self._free:
                slots[i] = heapq.heappop(self._free)
            else:
                slots[i] = self._high
                self._high += 1
            self._where[key] = int(slots[i])
        while self._high > len(self.slots):
            self.slots = np.concatenate([self.slots, np.zeros(len(self.slots), _SLOT)])
        self.slots["hash"][slots] = hashes
        self.slots["seen_ms"][slots] = self.now_ms
        past = self._cells_of(hashes)
        for scale in range(len(SCALES_MS)):
            sums, pairs = self._cell_past(past, scale)
            self.slots["sums"][slots, scale], self.slots["pairs"][slots, scale] = sums.min(axis=0), pairs.min(axis=0)
        return slots

    def _evict(self, needed: int, in_use: Ints) -> int:
        """Put away the least active terms: an eighth of the table, so that it is not done at every call."""
        evictable = self.slots["hash"] != 0
        evictable[in_use] = False
        evictable[[self._where[key] for key in self.pinned if key in self._where]] = False
        slots = np.flatnonzero(evictable)
        slots = slots[self._least_active(slots)[: max(needed, self.max_terms // 8)]]
        self.settle(slots)
        keys = self.slots["hash"][slots]
        self._put_away(slots, keys)
        for key, slot in zip(keys.tolist(), slots.tolist(), strict=True):
            del self._where[key]
            heapq.heappush(self._free, slot)
        self.slots[slots] = np.zeros(1, _SLOT)
        return len(slots)

    def _least_active(self, slots: Ints) -> Ints:
        """Order of these slots by discounted events of the last hours; untouched ones are not settled, only discounted."""
        seen, scale = self.slots["seen_ms"][slots], 1
        left = decay(bin_of(self.now_ms or 0, scale) - bin_of(seen, scale), scale, self.params)
        activity = (self.slots["sums"][slots, scale] + self.slots["ring1"][slots].sum(axis=1)) * left
        return np.lexsort((self.slots["hash"][slots], activity))

    def _put_away(self, slots: Ints, keys: Hashes) -> None:
        """Raise both cells of each term to its past, counts that are not closed yet included."""
        cells = self._cells_of(keys).ravel()
        touched = np.unique(cells)
        for scale in range(len(SCALES_MS)):
            self.cells["sums"][touched, scale], self.cells["pairs"][touched, scale] = self._cell_past(touched, scale)
            ring = self.slots[f"ring{scale}"][slots]
            bins = _bins_in_ring(np.full(len(slots), bin_of(self.now_ms or 0, scale)), _RINGS[scale])
            pending = np.where(bins >= closed_bin(self.now_ms or 0, scale, self.params), np.maximum(ring, 0), 0)
            np.maximum.at(self.cells["sums"][:, scale], cells, np.tile(self.slots["sums"][slots, scale] + pending.sum(axis=1), 2))
            np.maximum.at(self.cells["pairs"][:, scale], cells, np.tile(self.slots["pairs"][slots, scale], 2))
        self.cells["seen_ms"][touched] = self.now_ms

    def _cells_of(self, keys: Hashes) -> Ints:
        size = np.uint64(len(self.cells))
        return np.stack([keys % size, (keys >> np.uint64(32)) % size]).astype(np.int64)

    def _cell_past(self, cells: Ints, scale: int) -> tuple[Floats, Floats]:
        """Sums and pairs of these cells as of now."""
        closed = closed_bin(self.now_ms or 0, scale, self.params)
        left = decay(closed - closed_bin(self.cells["seen_ms"][cells], scale, self.params), scale, self.params)
        return self.cells["sums"][cells, scale] * left, self.cells["pairs"][cells, scale] * left


def _bins_in_ring(newest: Ints, size: int) -> Ints:
    """For each row, the bin that every ring position holds when the newest one is `newest`."""
    return np.asarray(newest[:, None] - (newest[:, None] - np.arange(size)) % size)
