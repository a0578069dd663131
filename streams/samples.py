"""Sample posts: where a post lies in the raw topic, as one number; those of the smallest hashes are kept, so always the same.

A place is `partition << 48 | offset`; its hash, the finaliser of SplitMix64, spreads neighbours over all numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.candidates import SampleRef

Places = npt.NDArray[np.uint64]

_OFFSET_BITS = 48
_OFFSETS = (1 << _OFFSET_BITS) - 1
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_ALL = (1 << 64) - 1


def places(partition: int | npt.NDArray[np.integer[Any]], offsets: npt.NDArray[np.int64]) -> Places:
    """The places of these offsets; partition, one for all or one each, below 2^16, offsets below 2^48."""
    return (np.asarray(partition, dtype=np.uint64) << np.uint64(_OFFSET_BITS)) | offsets.astype(np.uint64)


def hashes(of: Places) -> Places:
    """The hash of each place."""
    mixed = of
    for shift, factor in _STEPS:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def references(of: Iterable[int]) -> tuple[SampleRef, ...]:
    """The places as references, each with its hash."""
    return tuple(SampleRef(_hash(place), place >> _OFFSET_BITS, place & _OFFSETS) for place in of)


def references_of(of: Places) -> list[SampleRef]:
    """The same for many."""
    partitions, offsets = of >> np.uint64(_OFFSET_BITS), of & np.uint64(_OFFSETS)
    return list(map(SampleRef, hashes(of).tolist(), partitions.tolist(), offsets.tolist()))


def _hash(place: int) -> int:
    for shift, factor in _STEPS:
        place = (place ^ (place >> shift)) * factor & _ALL
    return place ^ (place >> 31)
