"""Recent counts and the past of very many terms in bounded memory; a call takes time for the terms it touches, not for time passed.

Active terms have exact counts: rings of 10 s, 1 min, 5 min and 1 h bins, 196 bytes a slot and about 40 more for finding it, at
most `max_terms` of them. When the table is full the least active terms give way (ties by hash, so always the same) and their past
goes to hashed cells, 52 bytes each. A cell keeps the larger of its terms' pasts, not their sum, and a term reads the smaller of its
two cells: a term that comes back is never deemed newer than it is, and a flood of one-off terms cannot fill them.
A slot that is not touched keeps its bytes; decay is applied when it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.baseline import SCALES_MS, BaselineParams, Ints, Weights, advance_exposure, decay_rates
from streams.compiled import compiled
from streams.term_cells import CELL, admit, put_away
from streams.term_index import TermIndex
from streams.term_records import OPEN_BINS, RECORD, RINGS, ROLLING, SPANS, Clock, Records, add, settle

Hashes: TypeAlias = NDArray[np.uint64]

PAGE = 1024
"""Slots or cells per snapshot section."""

TOTAL = 0
"""The slot of all terms together."""

_NO_SLOTS = np.zeros(0, np.int64)


class TermTable:
    """Counts and pasts by slot. The order in which terms of one call are given does not matter."""

    def __init__(self, max_terms: int, cells: int, params: BaselineParams) -> None:
        self.max_terms = max_terms
        self.params = params
        self.exposure = [0.0] * len(SCALES_MS)
        self.now_ms: int | None = None
        self.slots: Records = np.zeros(PAGE, RECORD)
        self.cells: Records = np.zeros(cells, CELL)
        self._index = self._indexed()
        self._free = np.zeros(0, np.int64)  # slots below that are free, ascending
        self._high = 1  # slots from here on were never used; slot 0 is TOTAL
        self.kept = np.zeros(PAGE, np.bool_)  # slots of terms that never give way
        self.scratch = np.zeros(PAGE, np.int64)  # by slot, for `touch`; zeros between calls
        self._rates = decay_rates(params)
        self.weights = Weights.of(params)
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
        self._clock = Clock.at(tick_ms, self.exposure, self._rates, self.params.settle_ms)

    def pin(self, key: int, pinned: bool) -> None:
        """Whether the term of this hash must not give way."""
        self.kept[self.slots_of([key])] = pinned

    def find(self, hashes: Hashes) -> Ints:
        """Slots of these term hashes, in their order; new terms get one, or -1 if even eviction leaves no room."""
        slots, all_here = self._index.find(hashes)
        if not all_here:
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
        return self._index.find(np.fromiter(keys, np.uint64, len(keys)))[0] if keys else _NO_SLOTS

    @property
    def clock(self) -> Clock:
        """The clock of the last `advance`."""
        assert self._clock is not None
        return self._clock

    def mask(self, slot: int, before_ms: int) -> None:
        """Leave out what this slot counted in windows that started before."""
        self.slots["mask_ms"][slot] = before_ms

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
        self.kept, self.scratch = np.zeros(size, np.bool_), np.zeros(size, np.int64)
        for name in sections:
            kind, _, number = name.partition("/")
            if kind in ("terms", "hashed"):
                page, array = int(number) * PAGE, self.slots if kind == "terms" else self.cells
                rows = np.frombuffer(sections[name], array.dtype)
                array[page : page + len(rows)] = rows
        used = np.flatnonzero(self.slots["hash"])
        self._index = self._indexed()
        self._high = int(used[-1]) + 1 if len(used) else 1
        self._free = np.setdiff1d(np.arange(1, self._high), used)

    def _indexed(self) -> TermIndex:
        used = np.flatnonzero(self.slots["hash"])
        return TermIndex(self.slots["hash"][used], used)

    def _admit(self, hashes: Hashes) -> Ints:
        again, self._free = self._free[: len(hashes)], self._free[len(hashes) :]
        never = len(hashes) - len(again)
        slots = np.concatenate([again, np.arange(self._high, self._high + never)])
        self._high += never
        self._index.add(hashes, slots)
        while self._high > len(self.slots):
            self.slots = np.concatenate([self.slots, np.zeros(len(self.slots), RECORD)])
            self.kept = np.concatenate([self.kept, np.zeros(len(self.kept), np.bool_)])
            self.scratch = np.zeros(len(self.slots), np.int64)
        admit(self.slots, self.cells, hashes, slots, self.clock, self.weights)
        return slots

    def _evict(self, needed: int, in_use: Ints) -> int:
        """Put away the least active terms: an eighth of the table, so that it is not done at every call."""
        evictable = self.slots["hash"] != 0
        evictable[in_use] = False
        evictable[self.kept] = False
        slots = np.flatnonzero(evictable)
        slots = self._least_active(slots, max(needed, self.max_terms // 8))
        put_away(self.slots, self.cells, slots, self.clock, self.weights)
        self._free = np.sort(np.concatenate([self._free, slots]))
        self.slots[slots] = np.zeros(1, RECORD)
        self._index = self._indexed()
        return len(slots)

    def _least_active(self, slots: Ints, count: int) -> Ints:
        """So many, by discounted events of the last hours, ties by hash; untouched ones are not settled, only discounted."""
        if len(slots) <= count:
            return slots
        minute = 1
        ages = np.maximum(self.clock.newest[minute] - self.slots["seen_ms"][slots] // SCALES_MS[minute], 0)
        recent = self.slots["sums"][slots, minute] + self.slots["rings"][slots, SPANS[minute]].sum(axis=1)
        left = recent * np.exp2(-ages * self.clock.rates[minute])
        limit = np.partition(left, count - 1)[count - 1]
        below, ties = slots[left < limit], slots[left == limit]
        return np.concatenate([below, ties[np.argsort(self.slots["hash"][ties])[: count - len(below)]]])


@compiled
def touch(
    records: Records, scratch: Ints, slots: Ints, window_start_ms: Ints, events: Ints, others: Ints, clock: Clock, weights: Weights
) -> tuple[Ints, Ints]:
    """Counts events of these windows in the terms of these slots (-1: none) and in the total of all.

    Returns the distinct slots that are settled now: TOTAL, those that got events, and `others`; and where the slots given are
    among them, the others last (-1: nowhere).
    """
    touched, places = np.empty(slots.size + others.size + 1, np.int64), np.empty(slots.size + others.size, np.int64)
    total, count = records[TOTAL], 1
    touched[0] = TOTAL
    settle(total, clock, weights)
    for i in range(places.size):
        slot = slots[i] if i < slots.size else others[i - slots.size]
        if i < slots.size:
            add(total, clock, window_start_ms[i], events[i])
        if slot < 0:
            places[i] = -1
            continue
        if scratch[slot] == 0:
            settle(records[slot], clock, weights)
            touched[count] = slot
            scratch[slot] = count
            count += 1
        places[i] = scratch[slot]
        if i < slots.size:
            add(records[slot], clock, window_start_ms[i], events[i])
    for slot in touched[:count]:
        scratch[slot] = 0
    return touched[:count].copy(), places
