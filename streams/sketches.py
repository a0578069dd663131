"""Small summaries of many posts that merge in any order to the same bytes: distinct authors and sample posts.

Distinct authors: k minimum values (Bar-Yossef et al. 2002; estimator of Beyer et al. 2007), exact below SKETCH_SIZE.
Sample posts: those with the smallest hashes (streams.samples), so always the same ones, however the posts were split into rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from schemas.candidates import SampleRef
from schemas.frames import SKETCH_SIZE

_HASHES = np.dtype("<u8")


def merge_authors(sketch: bytes, hashes: Iterable[int]) -> bytes:
    """The sketch with these author hashes in it: the SKETCH_SIZE smallest distinct ones, ascending, 8 bytes each."""
    known = set(_list(sketch))
    both = known.union(hashes)
    if len(both) == len(known):
        return sketch
    smallest = sorted(both)[:SKETCH_SIZE]  # of so few, faster than with numpy
    return struct.pack(f"<{len(smallest)}Q", *smallest)


def union_authors(sketches: Iterable[bytes]) -> bytes:
    """The sketch of all posts that went into any of these."""
    some = [sketch for sketch in sketches if sketch]
    if len(some) < 2:
        return some[0] if some else b""
    return np.unique(np.concatenate([np.frombuffer(sketch, _HASHES) for sketch in some]))[:SKETCH_SIZE].tobytes()


def count_authors(sketch: bytes) -> int:
    """Distinct authors: exact below SKETCH_SIZE, standard error 12.7 % from there on."""
    hashes = np.frombuffer(sketch, _HASHES)
    if len(hashes) < SKETCH_SIZE:
        return len(hashes)
    return round((SKETCH_SIZE - 1) * 2.0**64 / float(hashes[-1]))


def merge_samples(left: Iterable[SampleRef], right: Iterable[SampleRef], keep: int) -> tuple[SampleRef, ...]:
    """The `keep` distinct samples with the smallest hashes, ascending."""
    return tuple(sorted({*left, *right})[:keep])


def _list(sketch: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(sketch) // 8}Q", sketch)
