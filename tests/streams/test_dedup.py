"""Duplicates are found as a dictionary would find them, in a sixteenth of its memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.dedup import DedupParams, Seen, find_duplicates, latest_sights, remember

PARAMS = DedupParams(horizon_ms=10_000)


def sights() -> st.SearchStrategy[list[tuple[int, int]]]:
    def build(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        now, out = 100, []
        for number, add in pairs:
            now += add
            out.append((number, now))
        return out

    return st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 1, 4, 11])), max_size=150).map(build)


def by_dictionary(log: list[tuple[int, int]]) -> list[bool]:
    last: dict[int, int] = {}
    flags = []
    for number, now in log:
        flags.append(number in last and now - last[number] <= PARAMS.horizon_s)
        last[number] = now
    return flags


def by_seen(log: list[tuple[int, int]], size: int) -> list[bool]:
    seen, flags = Seen(), []
    for at in range(0, len(log), size):
        ids = np.array([number for number, _ in log[at : at + size]], dtype=np.uint64)
        steps = np.array([now for _, now in log[at : at + size]], dtype=np.uint32)
        flags += find_duplicates(seen, ids, steps, PARAMS).tolist()
        remember(seen, latest_sights(ids, steps), PARAMS)
    return flags


@given(sights(), st.integers(1, 40))
def test_an_id_is_a_duplicate_if_its_latest_sight_lies_within_the_horizon(log: list[tuple[int, int]], size: int) -> None:
    assert by_seen(log, size) == by_dictionary(log)


def test_finding_does_not_remember() -> None:
    seen = Seen()
    ids, steps = np.array([1, 2], dtype=np.uint64), np.array([5, 5], dtype=np.uint32)
    assert not find_duplicates(seen, ids, steps, PARAMS).any()
    assert not find_duplicates(seen, ids, steps, PARAMS).any()


def test_a_remembered_id_costs_twelve_bytes_and_old_ones_are_forgotten() -> None:
    rng = np.random.default_rng(7)
    seen, params = Seen(), DedupParams(horizon_ms=60_000)
    for second in range(300):
        ids = rng.integers(0, 2**63, 1_000, dtype=np.uint64)
        remember(seen, latest_sights(ids, np.full(1_000, second, dtype=np.uint32)), params)
    assert seen.nbytes == 12 * len(seen)
    assert 60_000 <= len(seen) <= 4 * 60_000
