"""What was added is found at its slot, what was not is not; compared with a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.term_index import TermIndex

HASHES = st.integers(1, 2**64 - 1) | st.integers(1, 64) | st.integers(2**64 - 64, 2**64 - 1)  # neighbours collide


@given(st.lists(st.lists(HASHES, unique=True), max_size=8), st.lists(HASHES))
def test_it_answers_like_a_dict(batches: list[list[int]], asked: list[int]) -> None:
    index, expected = TermIndex(np.empty(0, np.uint64), np.empty(0, np.int64)), dict[int, int]()
    for batch in batches:
        new = [one for one in batch if one not in expected]
        slots = list(range(len(expected), len(expected) + len(new)))
        expected |= dict(zip(new, slots, strict=True))
        index.add(np.array(new, np.uint64), np.array(slots, np.int64))
    wanted = [*asked, *expected]
    found, all_here = index.find(np.array(wanted, np.uint64))
    assert found.tolist() == [expected.get(one, -1) for one in wanted]
    assert all_here == all(one in expected for one in wanted)
    assert len(index) == len(expected)


def test_it_grows_and_hashes_of_one_partition_do_not_pile_up() -> None:
    hashes = (np.random.default_rng(1).permutation(200_000).astype(np.uint64) << np.uint64(46)) | np.uint64(1)
    index = TermIndex(hashes[:10], np.arange(10))
    index.add(hashes[10:], np.arange(10, len(hashes)))
    assert (index.find(hashes)[0] == np.arange(len(hashes))).all()
    assert (index.find(hashes + np.uint64(1))[0] == -1).all()
