from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.candidates import SampleRef
from schemas.frames import SKETCH_SIZE
from streams.sketches import count_authors, merge_authors, merge_samples, union_authors

HASHES = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=90), max_size=6)


@given(parts=HASHES)
def test_authors_merge_to_the_same_bytes_in_any_order_and_grouping(parts: list[list[int]]) -> None:
    everything = [hash_ for part in parts for hash_ in part]
    one_by_one = reduce(merge_authors, reversed(parts), b"")
    assert one_by_one == merge_authors(b"", everything)
    assert one_by_one == union_authors([b"", *(merge_authors(b"", part) for part in parts)])
    if len(set(everything)) < SKETCH_SIZE:
        assert count_authors(one_by_one) == len(set(everything))


@pytest.mark.parametrize("distinct", [0, 1, 63, 64, 1_000, 100_000])
def test_distinct_authors_are_counted_within_three_standard_errors(distinct: int) -> None:
    hashes = ((i + 1) * 0x9E3779B97F4A7C15 % 2**64 for i in range(distinct))
    assert count_authors(merge_authors(b"", hashes)) == pytest.approx(distinct, rel=0.38 if distinct >= SKETCH_SIZE else 0)


@given(left=st.sets(st.integers(0, 99)), right=st.sets(st.integers(0, 99)), keep=st.integers(0, 20))
def test_samples_are_those_with_the_smallest_hashes(left: set[int], right: set[int], keep: int) -> None:
    refs = [SampleRef(hash_, 0, hash_) for hash_ in range(100)]
    merged = merge_samples([refs[i] for i in left], [refs[i] for i in right], keep)
    assert [ref.place_hash for ref in merged] == sorted(left | right)[:keep]
