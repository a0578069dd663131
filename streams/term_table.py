"""Recent counts and the past of very many terms in bounded memory; a call takes time for the terms it touches, not for time passed.

Active terms have exact counts: rings of 10 s, 1 min, 5 min and 1 h bins, 196 bytes a slot and about 40 more for finding it, at
most `max_terms` of them. When the table is full the least active terms give way (ties by hash, so always the same) and their past
goes to hashed cells, 52 bytes each. A cell keeps the larger of its terms' pasts, not their sum, and a term reads the smaller of its
two cells: a term that comes back is never deemed newer than it is, and a flood of one-off terms cannot fill them.
A slot that is not touched keeps its bytes; decay is applied when it is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.baseline import SCALES_MS, BaselineParams, Floats, Ints, advance_exposure, decay_rates, predict_scales
from streams.term_index import TermIndex
from streams.term_records import OPEN_BINS, RECORD, RINGS, ROLLING, SPANS, Clock, Records, add, decayed, heights, observed, settle
from streams.tide import ebb

Hashes: TypeAlias = NDArray[np.uint64]

_RECORD_BYTES = np.dtype((np.void, RECORD.itemsize))  # copied whole, which numpy does far faster than field by field
_CELL = np.dtype(
    [("seen_ms", "<i8"), ("sums", "<f4", (len(SCALES_MS),)), ("pairs", "<f4", (len(SCALES_MS),)), ("tide", "<f4", (3,))]
)

PAGE = 1024
"""Slots or cells per snapshot section."""

TOTAL = 0
"""The slot of all terms together."""

_LENGTHS = np.array(SCALES_MS)


class TermTable:
    """Counts and pasts by slot. The order in which terms of one call are given does not matter."""

    def __init__(self, max_terms: int, cells: int, params: BaselineParams) -> None:
        self.max_terms = max_terms
        self.params = params
        self.exposure = [0.0] * len(SCALES_MS)
        self.now_ms: int | None = None
        self.slots: Records = np.zeros(PAGE, RECORD)
        self.cells: Records = np.zeros(cells, _CELL)
        self._index = self._indexed()
        self._free: list[int] = []
        self._high = 1  # slots from here on were never used; slot 0 is TOTAL
        self._pinned = np.zeros(PAGE, np.bool_)  # slots of terms that never give way
        self._scratch = np.zeros(PAGE, np.int64)  # by slot; holds nothing between calls
        self._rates = decay_rates(params)
        self._clock: Clock | None = None  # as of now_ms

    def __len__(self) -> int:
        return len(self._index)

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
        self._clock = Clock.at(tick_ms, self.exposure, self._rates, self.params)

    def pin(self, key: int, pinned: bool) -> None:
        """Whether the term of this hash must not give way."""
        self._pinned[self.slots_of([key])] = pinned

    def pinned(self, slots: Ints) -> NDArray[np.bool_]:
        """Which of these slots are of terms that must not give way."""
        return self._pinned[slots]

    def find(self, hashes: Hashes) -> Ints:
        """Slots of these term hashes, in their order; new terms get one, or -1 if even eviction leaves no room."""
        slots = self._index.find(hashes)
        if len(slots) and slots.min() < 0:
            known = slots >= 0
            missing, where = np.unique(hashes[~known], return_inverse=True)
            room = self.max_terms - len(self._index)
            if len(missing) > room:
                room += self._evict(len(missing) - room, slots[known])
            admitted = np.full(len(missing), -1)
            admitted[:room] = self._admit(missing[:room])
            slots[~known] = admitted[where]
        return slots

    def slots_of(self, keys: Collection[int]) -> Ints:
        """Slots of terms that have one."""
        return self._index.find(np.fromiter(keys, np.uint64, len(keys)))

    def distinct(self, slots: Ints) -> tuple[Ints, Ints]:
        """These slots without repetition, and the place of each given one among them."""
        order = np.arange(len(slots))
        self._scratch[slots] = order
        chosen = slots[self._scratch[slots] == order]
        self._scratch[chosen] = order[: len(chosen)]
        return chosen, self._scratch[slots]

    def count(self, slots: Ints, places: Ints, window_start_ms: Ints, events: Ints) -> Records:
        """Settle these distinct slots and count events of these windows in those of the given places; the slots' records then."""
        records = self._settled(slots)
        add(records, self.clock, places, window_start_ms, events)
        self._put(slots, records)
        return records

    @property
    def clock(self) -> Clock:
        """The clock of the last `advance`."""
        assert self._clock is not None
        return self._clock

    def mask(self, slot: int, before_ms: int) -> None:
        """Leave out what this slot counted in windows that started before."""
        self.slots["mask_ms"][slot] = before_ms

    def observed(self, records: Records) -> Ints:
        """Events in the last 10 s, 1 min, 5 min and 1 h (columns), without those before `mask_ms`."""
        return observed(records, self.clock)

    def expected(self, records: Records) -> tuple[Floats, Floats]:
        """Mean and dispersion at every scale (columns)."""
        sums, pairs = records["sums"].astype(np.float64), records["pairs"].astype(np.float64)
        return predict_scales(sums, pairs, self.exposure, self.params)

    def heights(self, records: Records) -> Floats | None:
        """How far above its usual level of half a day each record stands; None until that is known."""
        return heights(records, self.clock) if self.exposure[-1] >= self.params.tide_hours else None

    def run(self, slot: int, scale: int, floor: float) -> tuple[int, int]:
        """Start of the earliest bin within the last `scale` that holds more than `floor` per scale, and the events since."""
        level, width = ROLLING[scale]
        length, size = SCALES_MS[level], RINGS[level]
        floor *= length / SCALES_MS[scale]
        width = OPEN_BINS if scale == 0 else width
        now = int(self.clock.newest[level])
        ring, mask = self.slots["rings"][slot, SPANS[level]], int(self.slots["mask_ms"][slot])
        bins = [i for i in range(now - width + 1, now + 1) if i * length >= mask]
        first = next((i for i in bins if ring[i % size] > floor), now)
        return first * length, int(sum(ring[i % size] for i in bins if i >= first))

    def snapshot(self) -> dict[str, bytes]:
        """Pages of slots and cells that hold anything; a page nobody touched keeps its bytes."""
        used = int(np.flatnonzero(self.slots["hash"])[-1]) + 1 if len(self._index) else 1
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
        self.slots = np.zeros(size, RECORD)
        self._pinned, self._scratch = np.zeros(size, np.bool_), np.zeros(size, np.int64)
        for name in sections:
            kind, _, number = name.partition("/")
            if kind in ("terms", "hashed"):
                page, array = int(number) * PAGE, self.slots if kind == "terms" else self.cells
                rows = np.frombuffer(sections[name], array.dtype)
                array[page : page + len(rows)] = rows
        used = np.flatnonzero(self.slots["hash"])
        self._index = self._indexed()
        self._high = int(used[-1]) + 1 if len(used) else 1
        self._free = sorted(set(range(1, self._high)) - set(used.tolist()))

    def _indexed(self) -> TermIndex:
        used = np.flatnonzero(self.slots["hash"])
        return TermIndex(self.slots["hash"][used], used)

    def _settled(self, slots: Ints) -> Records:
        records = self.slots.view(_RECORD_BYTES)[slots].view(RECORD)
        settle(records, self.clock, self.params)
        return records

    def _put(self, slots: Ints, records: Records) -> None:
        self.slots.view(_RECORD_BYTES)[slots] = records.view(_RECORD_BYTES)

    def _admit(self, hashes: Hashes) -> Ints:
        slots = np.empty(len(hashes), np.int64)
        for i in range(len(hashes)):
            if self._free:
                slots[i] = heapq.heappop(self._free)
            else:
                slots[i] = self._high
                self._high += 1
        self._index.add(hashes, slots)
        while self._high > len(self.slots):
            self.slots = np.concatenate([self.slots, np.zeros(len(self.slots), RECORD)])
            self._pinned = np.concatenate([self._pinned, np.zeros(len(self._pinned), np.bool_)])
            self._scratch = np.zeros(len(self.slots), np.int64)
        self.slots["hash"][slots] = hashes
        self.slots["seen_ms"][slots] = self.now_ms
        sums, pairs = self._cell_past(self._cells_of(hashes))
        self.slots["sums"][slots], self.slots["pairs"][slots] = sums.min(axis=0), pairs.min(axis=0)
        self.slots["tide"][slots] = self._cell_tide(self._cells_of(hashes)).min(axis=0)
        return slots

    def _evict(self, needed: int, in_use: Ints) -> int:
        """Put away the least active terms: an eighth of the table, so that it is not done at every call."""
        evictable = self.slots["hash"] != 0
        evictable[in_use] = False
        evictable[self._pinned] = False
        slots = np.flatnonzero(evictable)
        slots = slots[self._least_active(slots)[: max(needed, self.max_terms // 8)]]
        records = self._settled(slots)
        self._put(slots, records)
        keys = records["hash"]
        self._put_away(slots, keys)
        for slot in slots.tolist():
            heapq.heappush(self._free, slot)
        self.slots[slots] = np.zeros(1, RECORD)
        self._index = self._indexed()
        return len(slots)

    def _least_active(self, slots: Ints) -> Ints:
        """Order of these slots by discounted events of the last hours; untouched ones are not settled, only discounted."""
        minute = 1
        seen, rings = self.slots["seen_ms"][slots], self.slots["rings"][slots]
        ages = self.clock.newest - seen[:, None] // _LENGTHS
        recent = self.slots["sums"][slots] + rings[:, SPANS[minute]].sum(axis=1)[:, None]
        return np.lexsort((self.slots["hash"][slots], decayed(recent, ages, self.clock)[:, minute]))

    def _put_away(self, slots: Ints, keys: Hashes) -> None:
        """Raise both cells of each term to its past, counts that are not closed yet included."""
        cells = self._cells_of(keys).ravel()
        touched = np.unique(cells)
        self.cells["sums"][touched], self.cells["pairs"][touched] = self._cell_past(touched)
        self.cells["tide"][touched] = self._cell_tide(touched)
        np.maximum.at(self.cells["tide"], cells, np.tile(self.slots["tide"][slots], (2, 1)))
        pending = np.maximum(self.slots["rings"][slots], 0) * self.clock.open_bins
        for scale, span in enumerate(SPANS):
            sums = self.slots["sums"][slots, scale] + pending[:, span].sum(axis=1)
            np.maximum.at(self.cells["sums"][:, scale], cells, np.tile(sums, 2))
            np.maximum.at(self.cells["pairs"][:, scale], cells, np.tile(self.slots["pairs"][slots, scale], 2))
        self.cells["seen_ms"][touched] = self.now_ms

    def _cells_of(self, keys: Hashes) -> Ints:
        size = np.uint64(len(self.cells))
        return np.stack([keys % size, (keys >> np.uint64(32)) % size]).astype(np.int64)

    def _cell_tide(self, cells: Ints) -> Floats:
        hours = self.clock.closed[-1] - (self.cells["seen_ms"][cells] - self.params.settle_ms) // SCALES_MS[-1]
        return ebb(self.cells["tide"][cells].astype(np.float64), np.maximum(hours, 0), self.clock.hour_left)

    def _cell_past(self, cells: Ints) -> tuple[Floats, Floats]:
        """Sums and pairs of these cells at every scale (last axis) as of now."""
        ages = self.clock.closed - (self.cells["seen_ms"][cells][..., None] - self.params.settle_ms) // _LENGTHS
        return decayed(self.cells["sums"][cells], ages, self.clock), decayed(self.cells["pairs"][cells], ages, self.clock)
