"""Where the terms are in the table: slots by term hash, for thousands of hashes at once; about 30 bytes a term.

Open addressing in two arrays of at least twice as many places as terms. A dict of as many would take 130 bytes a term, and the
terms of one busy second several milliseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.baseline import Ints

_MIN_BITS = 11


class TermIndex:
    """Slots of hashes; no hash is 0. Hashes are added one by one and left out only by building it anew."""

    def __init__(self, hashes: NDArray[np.uint64], slots: Ints) -> None:
        self._count = 0
        self._allocate(_MIN_BITS)
        self.add(hashes, slots)

    def __len__(self) -> int:
        return self._count

    def find(self, hashes: NDArray[np.uint64]) -> Ints:
        """The slots of these hashes, -1 for those that are not here."""
        found = np.full(len(hashes), -1)
        at, asked = self._first(hashes), np.arange(len(hashes))
        while len(asked):
            held = self._hashes[at]
            hit = held == hashes
            found[asked[hit]] = self._slots[at[hit]]
            further = ~hit & (held != 0)
            at, asked, hashes = (at[further] + 1) & self._mask, asked[further], hashes[further]
        return found

    def add(self, hashes: NDArray[np.uint64], slots: Ints) -> None:
        """Remember these distinct hashes, none of which is here."""
        self._count += len(hashes)
        if 2 * self._count > len(self._hashes):
            old = self._hashes != 0
            old_hashes, old_slots = self._hashes[old], self._slots[old]
            self._allocate(int(4 * self._count - 1).bit_length())
            self._place(old_hashes, old_slots)
        self._place(hashes, slots)

    def _allocate(self, bits: int) -> None:
        self._mask, self._shift = (1 << bits) - 1, np.uint64(64 - bits)
        self._hashes, self._slots = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int32)

    def _first(self, hashes: NDArray[np.uint64]) -> Ints:
        # the high bits: the low ones have chosen the partition and are alike here
        return (hashes >> self._shift).astype(np.int64)

    def _place(self, hashes: NDArray[np.uint64], slots: Ints) -> None:
        at = self._first(hashes)
        while len(hashes):
            free = self._hashes[at] == 0
            self._hashes[at[free]] = hashes[free]  # of several that want one place, one gets it
            placed = self._hashes[at] == hashes
            self._slots[at[placed]] = slots[placed]
            at, hashes, slots = (at[~placed] + 1) & self._mask, hashes[~placed], slots[~placed]
