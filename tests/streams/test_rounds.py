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
