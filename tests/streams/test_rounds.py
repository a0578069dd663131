"""Ticks of several detect partitions come out in one order, each once."""

from __future__ import annotations

import random

import pytest

from schemas.candidates import CandidateBatch, Surge
from schemas.errors import BrokenLog
from streams.rounds import Round, RoundState, complete_rounds

BASE = 1_700_000_000_000


def surge(term: str, tick_ms: int) -> Surge:
    return Surge(
        term=term,
        phase="opened",
        opened_ms=tick_ms,
        tick_ms=tick_ms,
        since_ms=tick_ms,
        scale_ms=10_000,
        observed=9,
        expected=1.0,
        score=9.0,
    )


def batches(partition: int, ticks: list[int], terms: dict[int, str]) -> list[CandidateBatch]:
    return [
        CandidateBatch(
            partition=partition,
            partitions=2,
            sequence=number,
            tick_ms=BASE + tick,
            surges=(surge(terms[tick], BASE + tick),) if tick in terms else (),
        )
        for number, tick in enumerate(ticks)
    ]


LEFT = batches(0, [1_000, 2_000, 3_000, 60_000], {2_000: "b"})
RIGHT = batches(1, [1_000, 2_000, 4_000, 60_000], {2_000: "a", 4_000: "c"})


def run(order: list[CandidateBatch]) -> list[Round]:
    state = RoundState()
    rounds: list[Round] = []
    for batch in order:
        state = RoundState.restore(state.snapshot())
        rounds += complete_rounds(state, batch)
    return rounds


def test_a_tick_is_told_when_every_partition_has_passed_it_and_sorted_by_term() -> None:
    rounds = run([*LEFT, *RIGHT])
    assert [(one.tick_ms - BASE, [one.term for one in one.surges]) for one in rounds if one.surges] == [
        (2_000, ["a", "b"]),
        (4_000, ["c"]),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_order_does_not_depend_on_how_partitions_interleave(seed: int) -> None:
    rng, queues = random.Random(seed), [list(LEFT), list(RIGHT)]
    order = []
    while any(queues):
        order.append(rng.choice([queue for queue in queues if queue]).pop(0))
    assert run(order) == run([*LEFT, *RIGHT])


def test_a_batch_seen_before_is_dropped() -> None:
    assert run([*LEFT, *LEFT, *RIGHT, *RIGHT]) == run([*LEFT, *RIGHT])


def test_a_missing_batch_stops_the_pipeline() -> None:
    with pytest.raises(BrokenLog, match="candidate batch 2, expected 1"):
        run([LEFT[0], LEFT[2]])


def test_never_do_more_surges_wait_than_may_for_a_partition_that_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.rounds.MAX_WAITING", 3)
    ticks = [1_000 * n for n in range(1, 9)]
    state, told = RoundState(), []
    for batch in [*batches(0, ticks, {tick: f"t{tick}" for tick in ticks}), *batches(1, [9_000], {9_000: "late"})]:
        state = RoundState.restore(state.snapshot())
        told += [surge.term for one in complete_rounds(state, batch) for surge in one.surges]
        assert state.waiting_surges <= 3
    assert told == [f"t{tick}" for tick in ticks]
    assert (state.forced, state.waiting_surges) == (5, 1)


def test_what_a_partition_says_of_a_tick_that_did_not_wait_for_it_belongs_to_the_next_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.rounds.MAX_WAITING", 1)
    left = batches(0, [1_000, 2_000, 3_000], {1_000: "a", 2_000: "b"})
    right = batches(1, [500, 1_000, 3_000], {500: "c", 1_000: "d"})
    told = [(one.tick_ms - BASE, [surge.term for surge in one.surges]) for one in run([*left, *right]) if one.surges]
    assert told == [(1_000, ["a"]), (1_000, ["c"]), (1_000, ["d"]), (2_000, ["b"])]
