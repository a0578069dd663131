"""Where the terms are in the table: slots by term hash, for thousands of hashes at once; about 30 bytes a term.

Open addressing in two arrays of at least twice as many places as terms. A dict of as many would take 130 bytes a term.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.baseline import Ints
from streams.compiled import compiled

_MIN_BITS = 11

_Hashes = NDArray[np.uint64]
_Slots = NDArray[np.int32]


class TermIndex:
    """Slots of hashes; no hash is 0. Hashes are added one by one and left out only by building it anew."""

    def __init__(self, hashes: _Hashes, slots: Ints) -> None:
        self._count = 0
        self._allocate(_MIN_BITS)
        self.add(hashes, slots)

    def __len__(self) -> int:
        return self._count

    def find(self, hashes: _Hashes) -> tuple[Ints, bool]:
        """The slots of these hashes, -1 for those that are not here; whether all are."""
        return _find(self._hashes, self._slots, hashes)

    def add(self, hashes: _Hashes, slots: Ints) -> None:
        """Remember these distinct hashes, none of which is here."""
        self._count += len(hashes)
        if 2 * self._count > len(self._hashes):
            old = self._hashes != 0
            old_hashes, old_slots = self._hashes[old], self._slots[old].astype(np.int64)
            self._allocate(int(4 * self._count - 1).bit_length())
            _put(self._hashes, self._slots, old_hashes, old_slots)
        _put(self._hashes, self._slots, hashes, slots)

    def _allocate(self, bits: int) -> None:
        self._hashes, self._slots = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int32)


@compiled
def _place(held: _Hashes, hash_: np.uint64) -> int:
    """Where the hash is, or may be put."""
    mask = held.size - 1
    # the high bits: the low ones have chosen the partition and are alike here
    place = np.int64(hash_ >> np.uint64(32)) & mask
    while held[place] != 0 and held[place] != hash_:
        place = (place + 1) & mask
    return int(place)


@compiled
def _find(held: _Hashes, slots: _Slots, hashes: _Hashes) -> tuple[Ints, bool]:
    found, all_here = np.empty(hashes.size, np.int64), True
    for i in range(hashes.size):
        place = _place(held, hashes[i])
        found[i] = slots[place] if held[place] != 0 else -1
        all_here &= found[i] >= 0
    return found, all_here


@compiled
def _put(held: _Hashes, slots: _Slots, hashes: _Hashes, new: Ints) -> None:
    for i in range(hashes.size):
        place = _place(held, hashes[i])
        held[place], slots[place] = hashes[i], new[i]
