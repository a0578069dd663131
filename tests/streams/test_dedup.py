"""Duplicates are found as a dictionary would find them, in a sixteenth of its memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.dedup import DedupParams, Ids, Run, Seen, Steps, find_duplicates, latest_sights, remember

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


def columns(log: list[tuple[int, int]]) -> tuple[Ids, Steps]:
    return np.array([number for number, _ in log], dtype=np.uint64), np.array([now for _, now in log], dtype=np.uint32)


def by_seen(log: list[tuple[int, int]], size: int, params: DedupParams = PARAMS) -> list[bool]:
    seen, flags = Seen(), []
    for at in range(0, len(log), size):
        ids, steps = columns(log[at : at + size])
        flags += find_duplicates(seen, ids, steps, params).tolist()
        remember(seen, latest_sights(ids, steps), params)
    return flags


@settings(deadline=None)
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


Log = list[tuple[int, int]]


def segments_of(log: Log) -> list[int]:
    """Number of the segment of each sight: a segment ends with its second, or after three sights."""
    numbers: list[int] = []
    for at, (_, second) in enumerate(log):
        goes_on = at > 0 and log[at - 1][1] == second and numbers.count(numbers[-1]) < 3
        numbers.append(numbers[-1] if goes_on else at)
    return numbers


def by_dictionary_of(log: Log, max_ids: int) -> list[bool]:
    """As `by_dictionary`, but a sight counts only if at most `max_ids` ids were seen from its second to the segment's start."""
    last: dict[int, int] = {}
    flags = []
    for (number, now), start in zip(log, segments_of(log), strict=True):
        since = last.get(number)
        since_then = {other for other, second in log[:start] if since is not None and second >= since}
        flags.append(since is not None and now - since <= PARAMS.horizon_s and len(since_then) <= max_ids)
        last[number] = now
    return flags


def by_segments(seen: Seen, log: Log, segments: list[int], size: int, params: DedupParams) -> list[bool]:
    """In batches of at least so many sights, all of whole segments."""
    flags: list[bool] = []
    while log:
        end = next((at for at in range(size, len(log)) if segments[at] != segments[at - 1]), len(log))
        ids, steps = columns(log[:end])
        flags += find_duplicates(seen, ids, steps, params, np.array(segments[:end], dtype=np.uint32)).tolist()
        remember(seen, latest_sights(ids, steps), params)
        log, segments = log[end:], segments[end:]
    return flags


@settings(deadline=None)
@given(sights(), st.integers(1, 40), st.integers(1, 8))
def test_of_too_many_ids_the_oldest_are_forgotten_by_the_log_alone(log: Log, size: int, max_ids: int) -> None:
    params = DedupParams(PARAMS.horizon_ms, max_ids)
    assert by_segments(Seen(), log, segments_of(log), size, params) == by_dictionary_of(log, max_ids)


@settings(deadline=None)
@given(sights(), st.integers(1, 40), st.integers(1, 8), st.integers(0, 149))
def test_who_resumes_at_a_segment_has_forgotten_the_same(log: Log, size: int, max_ids: int, at: int) -> None:
    params, segments = DedupParams(PARAMS.horizon_ms, max_ids), segments_of(log)
    start = segments[at] if at < len(log) else 0
    seen = Seen()
    remember(seen, latest_sights(*columns(log[:start])), params)
    resumed = by_segments(seen, log[start:], segments[start:], size, params)
    assert resumed == by_dictionary_of(log, max_ids)[start:]


def test_more_ids_than_the_cap_are_not_held_and_those_forgotten_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.dedup._HEADROOM", 2_000)
    rng = np.random.default_rng(7)
    seen, params, most = Seen(), DedupParams(horizon_ms=900_000, max_ids=20_000), 0
    for second in range(100):
        ids = rng.integers(0, 2**63, 1_000, dtype=np.uint64)
        assert not find_duplicates(seen, ids, np.full(1_000, second, dtype=np.uint32), params).any()
        remember(seen, latest_sights(ids, np.full(1_000, second, dtype=np.uint32)), params)
        most = max(most, len(seen))
        assert seen.distinct <= params.max_ids
    assert 15_000 < most <= params.max_held
    assert seen.forgotten == 80_000
    remember(seen, Run(np.array([1], dtype=np.uint64), np.array([5_000], dtype=np.uint32)), params)
    assert seen.counts is None, "the crowd has gone, and the counting with it"


def test_a_log_clock_that_stands_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.dedup._HEADROOM", 100)
    seen, params = Seen(), DedupParams(max_ids=1_000)
    for number in range(50):
        run = latest_sights(np.arange(number * 90, number * 90 + 90, dtype=np.uint64), np.full(90, 7, dtype=np.uint32))
        remember(seen, run, params)
        assert len(seen) <= params.max_held
    assert seen.floor == 8, "nothing of this second is remembered any more"
    remember(seen, Run(np.array([1], dtype=np.uint64), np.array([9], dtype=np.uint32)), params)
    assert find_duplicates(seen, np.array([1, 2], dtype=np.uint64), np.array([9, 9], dtype=np.uint32), params).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("count", [0, 1, 1_000, 300_000])
def test_of_several_sights_of_an_id_the_latest_is_kept_whatever_their_number(count: int) -> None:
    rng = np.random.default_rng(count)
    ids = rng.integers(0, max(count // 2, 1), count, dtype=np.uint64)
    steps = rng.integers(0, 1_000, count).astype(np.uint32)
    latest: dict[int, int] = {}
    for one, step in zip(ids.tolist(), steps.tolist(), strict=True):
        latest[one] = max(step, latest.get(one, 0))
    run = latest_sights(ids, steps)
    assert run.ids.dtype == np.uint64
    assert run.steps.dtype == np.uint32
    assert list(zip(run.ids.tolist(), run.steps.tolist(), strict=True)) == sorted(latest.items())
