"""Recent counts and the past of very many terms in bounded memory; a call takes time for the terms it touches, not for time passed.

Active terms have exact counts: rings of 10 s, 1 min, 5 min and 1 h bins, 184 bytes a slot and about 160 more for its place in the
dict, at most `max_terms` of them. When the table is full the least active terms give way (ties by hash, so always the same) and
their past goes to hashed cells, 40 bytes each. A cell keeps the larger of its terms' pasts, not their sum, and a term reads the
smaller of its two cells: a term that comes back is never deemed newer than it is, and a flood of one-off terms cannot fill them.
A slot that is not touched keeps its bytes; decay is applied when it is read. All that is done to a slot in one call is done to a
copy of it, for all slots and levels at once: most calls touch ten terms, and then it is the number of steps that costs.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
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
    decay_rates,
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
        ("rings", "<i4", (sum(_RINGS),)),  # one after the other
        ("sums", "<f4", (len(SCALES_MS),)),
        ("pairs", "<f4", (len(SCALES_MS),)),
    ]
)
_SLOT_BYTES = np.dtype((np.void, _SLOT.itemsize))  # copied whole, which numpy does far faster than field by field
_CELL = np.dtype([("seen_ms", "<i8"), ("sums", "<f4", (len(SCALES_MS),)), ("pairs", "<f4", (len(SCALES_MS),))])

PAGE = 1024
"""Slots or cells per snapshot section."""

TOTAL = 0
"""The slot of all terms together."""

_LENGTHS = np.array(SCALES_MS)
# The columns of `rings`: where the ring of each level lies; of each column its level, ring size and place in the ring.
_SPANS = [slice(sum(_RINGS[:level]), sum(_RINGS[: level + 1])) for level in range(len(_RINGS))]
_LEVEL = np.repeat(np.arange(len(_RINGS)), _RINGS)
_SIZE = np.array(_RINGS)[_LEVEL]
_PLACE = np.concatenate([np.arange(size) for size in _RINGS])
_START = np.array([span.start for span in _SPANS])


class TermTable:
    """Counts and pasts by slot. The order in which terms of one call are given does not matter."""

    def __init__(self, max_terms: int, cells: int, params: BaselineParams) -> None:
        self.max_terms = max_terms
        self.params = params
        self.exposure = [0.0] * len(SCALES_MS)
        self.now_ms: int | None = None
        self.slots: Rows = np.zeros(PAGE, _SLOT)
        self.cells: Rows = np.zeros(cells, _CELL)
        self._where: dict[int, int] = {}
        self._free: list[int] = []
        self._high = 1  # slots from here on were never used; slot 0 is TOTAL
        self._pinned = np.zeros(PAGE, np.bool_)  # slots of terms that never give way
        self._scratch = np.zeros(PAGE, np.int64)  # by slot; holds nothing between calls
        self._rates = decay_rates(params)

    def __len__(self) -> int:
        return len(self._where)

    def advance(self, tick_ms: int, observed: bool) -> None:
        """Move the clock; `observed` is whether there was a log to observe since the last call."""
        if self.now_ms is None:
            self.slots["seen_ms"][TOTAL] = tick_ms
        else:
            settle_ms = self.params.settle_ms
            for scale, length in enumerate(SCALES_MS):
                bins = (tick_ms - settle_ms) // length - (self.now_ms - settle_ms) // length
                if bins:
                    self.exposure[scale] = advance_exposure(self.exposure[scale], bins, scale, observed, self.params)
        self.now_ms = tick_ms

    def pin(self, key: int, pinned: bool) -> None:
        """Whether the term of this hash must not give way."""
        self._pinned[self._where[key]] = pinned

    def pinned(self, slots: Ints) -> NDArray[np.bool_]:
        """Which of these slots are of terms that must not give way."""
        return self._pinned[slots]

    def find(self, hashes: Hashes) -> Ints:
        """Slots of these term hashes, in their order; new terms get one, or -1 if even eviction leaves no room."""
        get = self._where.get
        slots = np.fromiter([get(key, -1) for key in hashes.tolist()], np.int64, len(hashes))
        if len(slots) and slots.min() < 0:
            known = slots >= 0
            missing, where = np.unique(hashes[~known], return_inverse=True)
            room = self.max_terms - len(self._where)
            if len(missing) > room:
                room += self._evict(len(missing) - room, slots[known])
            admitted = np.full(len(missing), -1)
            admitted[:room] = self._admit(missing[:room])
            slots[~known] = admitted[where]
        return slots

    def slots_of(self, keys: Collection[int]) -> Ints:
        """Slots of terms that have one."""
        return np.fromiter((self._where[key] for key in keys), np.int64, len(keys))

    def distinct(self, slots: Ints) -> tuple[Ints, Ints]:
        """These slots without repetition, and the place of each given one among them."""
        order = np.arange(len(slots))
        self._scratch[slots] = order
        chosen = slots[self._scratch[slots] == order]
        self._scratch[chosen] = order[: len(chosen)]
        return chosen, self._scratch[slots]

    def count(self, slots: Ints, places: Ints, window_start_ms: Ints, events: Ints) -> Rows:
        """Settle these distinct slots and count events of these windows in those of the given places; the slots' records then."""
        records = self._take(slots)
        self._settle(records)
        self._add(records, places, window_start_ms, events)
        self._put(slots, records)
        return records

    def mask(self, slot: int, before_ms: int) -> None:
        """Leave out what this slot counted in windows that started before."""
        self.slots["mask_ms"][slot] = before_ms

    def observed(self, records: Rows) -> Ints:
        """Events in the last 10 s, 1 min, 5 min and 1 h (columns), without those before `mask_ms`."""
        now = self._now() // _LENGTHS
        bins = _held(now[None])[0]
        starts, rings, mask = bins * _LENGTHS[_LEVEL], records["rings"], records["mask_ms"]
        if mask.max(initial=0) > starts.min():
            rings = np.where(starts >= mask[:, None], rings, 0)
        out = np.empty((len(records), len(SCALES_MS)), np.int64)
        fullest = np.flatnonzero((_LEVEL == 0) & (bins > now[0] - _OPEN_BINS))
        out[:, 0] = rings[:, fullest].max(axis=1, initial=0)
        rolling = np.stack([(level == _LEVEL) & (bins > now[level] - width) for level, width in _ROLLING[1:]], axis=1)
        out[:, 1:] = rings.astype(np.float64) @ rolling.astype(np.float64)  # exact: counts are far below 2^53
        return np.maximum(out, 0)

    def expected(self, records: Rows) -> tuple[Floats, Floats]:
        """Mean and dispersion at every scale (columns)."""
        sums, pairs = records["sums"].astype(np.float64), records["pairs"].astype(np.float64)
        return predict_scales(sums, pairs, self.exposure, self.params)

    def run(self, slot: int, scale: int, floor: float) -> tuple[int, int]:
        """Start of the earliest bin within the last `scale` that holds more than `floor` per scale, and the events since."""
        assert self.now_ms is not None
        level, width = _ROLLING[scale]
        length, size = SCALES_MS[level], _RINGS[level]
        floor *= length / SCALES_MS[scale]
        width = _OPEN_BINS if scale == 0 else width
        now = int(bin_of(self.now_ms, level))
        ring, mask = self.slots["rings"][slot, _SPANS[level]], int(self.slots["mask_ms"][slot])
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
        self._pinned, self._scratch = np.zeros(size, np.bool_), np.zeros(size, np.int64)
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

    def _now(self) -> int:
        assert self.now_ms is not None
        return self.now_ms

    def _take(self, slots: Ints) -> Rows:
        return self.slots.view(_SLOT_BYTES)[slots].view(_SLOT)

    def _put(self, slots: Ints, records: Rows) -> None:
        self.slots.view(_SLOT_BYTES)[slots] = records.view(_SLOT_BYTES)

    def _settle(self, records: Rows) -> None:
        """Learn the bins that closed since these were last touched and clear what fell out of their rings."""
        now, settle_ms, shortest = self._now(), self.params.settle_ms, SCALES_MS[0]
        seen = records["seen_ms"]
        # a bin of a longer scale begins and closes with one of the shortest
        due = (seen // shortest != now // shortest) | ((seen - settle_ms) // shortest != (now - settle_ms) // shortest)
        if due.all():
            self._learn(records)
        elif due.any():
            some = records[due]
            self._learn(some)
            records[due] = some
        records["seen_ms"] = now

    def _learn(self, records: Rows) -> None:
        now, settle_ms, rates = self._now(), self.params.settle_ms, self._rates
        seen = records["seen_ms"][:, None]
        newest, old, new = seen // _LENGTHS, (seen - settle_ms) // _LENGTHS, (now - settle_ms) // _LENGTHS
        bins = _held(newest)
        closed = (bins >= old[:, _LEVEL]) & (bins < new[_LEVEL])
        weight = np.exp2(-np.maximum(new[_LEVEL] - 1 - bins, 0) * rates[_LEVEL]) * closed
        left = np.exp2(-np.maximum(new - old, 0) * rates)
        sums, pairs = records["sums"] * left, records["pairs"] * left
        mean, spread = predict(sums, pairs, np.array(self.exposure), self.params.prior_dispersion, self.params)
        counts = clip(records["rings"].astype(np.float64), mean[:, _LEVEL], spread[:, _LEVEL], self.params)
        learnt = weight * counts
        learnt_pairs = learnt * np.maximum(counts - 1.0, 0.0)
        for level, span in enumerate(_SPANS):
            sums[:, level] += learnt[:, span].sum(axis=1)
            pairs[:, level] += learnt_pairs[:, span].sum(axis=1)
        records["sums"], records["pairs"] = sums, pairs
        records["rings"] *= _held((now // _LENGTHS)[None]) <= newest[:, _LEVEL]

    def _add(self, records: Rows, places: Ints, window_start_ms: Ints, events: Ints) -> None:
        """Count events; places may repeat. Too old for a ring: left out there."""
        newest = self._now() // _LENGTHS
        bins = np.minimum(window_start_ms[:, None] // _LENGTHS, newest)
        columns = _START + bins % np.array(_RINGS)
        cells = places[:, None] * len(_LEVEL) + columns
        amounts = np.broadcast_to(events.astype(np.int32)[:, None], cells.shape)
        fresh = bins > newest - np.array(_RINGS)
        rings = records["rings"].ravel()  # a copy
        np.add.at(rings, cells[fresh], amounts[fresh])
        records["rings"] = rings.reshape(len(records), -1)

    def _admit(self, hashes: Hashes) -> Ints:
        slots = np.empty(len(hashes), np.int64)
        for i in range(len(hashes)):
            if self._free:
                slots[i] = heapq.heappop(self._free)
            else:
                slots[i] = self._high
                self._high += 1
        self._where.update(zip(hashes.tolist(), slots.tolist(), strict=True))
        while self._high > len(self.slots):
            self.slots = np.concatenate([self.slots, np.zeros(len(self.slots), _SLOT)])
            self._pinned = np.concatenate([self._pinned, np.zeros(len(self._pinned), np.bool_)])
            self._scratch = np.zeros(len(self.slots), np.int64)
        self.slots["hash"][slots] = hashes
        self.slots["seen_ms"][slots] = self.now_ms
        sums, pairs = self._cell_past(self._cells_of(hashes))
        self.slots["sums"][slots], self.slots["pairs"][slots] = sums.min(axis=0), pairs.min(axis=0)
        return slots

    def _evict(self, needed: int, in_use: Ints) -> int:
        """Put away the least active terms: an eighth of the table, so that it is not done at every call."""
        evictable = self.slots["hash"] != 0
        evictable[in_use] = False
        evictable[self._pinned] = False
        slots = np.flatnonzero(evictable)
        slots = slots[self._least_active(slots)[: max(needed, self.max_terms // 8)]]
        records = self._take(slots)
        self._settle(records)
        self._put(slots, records)
        keys = records["hash"]
        self._put_away(slots, keys)
        for key, slot in zip(keys.tolist(), slots.tolist(), strict=True):
            del self._where[key]
            heapq.heappush(self._free, slot)
        self.slots[slots] = np.zeros(1, _SLOT)
        return len(slots)

    def _least_active(self, slots: Ints) -> Ints:
        """Order of these slots by discounted events of the last hours; untouched ones are not settled, only discounted."""
        now, minute = self._now(), 1
        ages = now // SCALES_MS[minute] - self.slots["seen_ms"][slots] // SCALES_MS[minute]
        left = np.exp2(-np.maximum(ages, 0) * self._rates[minute])
        recent = self.slots["rings"][slots][:, _SPANS[minute]].sum(axis=1)
        activity = (self.slots["sums"][slots, minute] + recent) * left
        return np.lexsort((self.slots["hash"][slots], activity))

    def _put_away(self, slots: Ints, keys: Hashes) -> None:
        """Raise both cells of each term to its past, counts that are not closed yet included."""
        cells = self._cells_of(keys).ravel()
        touched = np.unique(cells)
        self.cells["sums"][touched], self.cells["pairs"][touched] = self._cell_past(touched)
        now = self._now()
        pending = np.maximum(self.slots["rings"][slots], 0)
        pending *= _held((now // _LENGTHS)[None]) >= ((now - self.params.settle_ms) // _LENGTHS)[_LEVEL]
        for scale, span in enumerate(_SPANS):
            counted = pending[:, span].sum(axis=1)
            np.maximum.at(self.cells["sums"][:, scale], cells, np.tile(self.slots["sums"][slots, scale] + counted, 2))
            np.maximum.at(self.cells["pairs"][:, scale], cells, np.tile(self.slots["pairs"][slots, scale], 2))
        self.cells["seen_ms"][touched] = now

    def _cells_of(self, keys: Hashes) -> Ints:
        size = np.uint64(len(self.cells))
        return np.stack([keys % size, (keys >> np.uint64(32)) % size]).astype(np.int64)

    def _cell_past(self, cells: Ints) -> tuple[Floats, Floats]:
        """Sums and pairs of these cells at every scale (last axis) as of now."""
        settle_ms = self.params.settle_ms
        closed = (self._now() - settle_ms) // _LENGTHS
        ages = closed - (self.cells["seen_ms"][cells][..., None] - settle_ms) // _LENGTHS
        left = np.exp2(-np.maximum(ages, 0) * self._rates)
        return self.cells["sums"][cells] * left, self.cells["pairs"][cells] * left


def _held(newest: Ints) -> Ints:
    """The bin that every column of `rings` holds when the newest bins (per level, in columns) are these."""
    age = (newest % np.array(_RINGS))[:, _LEVEL] - _PLACE
    age += _SIZE * (age < 0)
    return np.asarray(newest[:, _LEVEL] - age)
