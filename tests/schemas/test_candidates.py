"""Batches travel in records that fit through a broker."""

from __future__ import annotations

import pytest

from schemas.candidates import RECORD_SURGES, CandidateBatch, Surge, decode_candidates, records_of

SURGE = Surge(
    term="hashtag:x", phase="opened", opened_ms=1, tick_ms=1, since_ms=1, scale_ms=10_000, observed=9, expected=1.0, score=9.0
)


def batches(*sizes: int) -> list[CandidateBatch]:
    return [
        CandidateBatch(partition=0, partitions=1, sequence=number, tick_ms=number, surges=(SURGE,) * size)
        for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("expected", "sizes"),
    [
        ([], ()),
        ([1], (0,)),
        ([2], (RECORD_SURGES - 1, 0)),
        ([1, 1], (RECORD_SURGES, 0)),
        ([1, 2], (RECORD_SURGES + 1, 3, 4)),
        ([RECORD_SURGES, 1], (0,) * (RECORD_SURGES + 1)),
    ],
)
def test_records_hold_all_batches_in_order_and_a_bounded_number_of_surges(expected: list[int], sizes: tuple[int, ...]) -> None:
    sent = batches(*sizes)
    got = [decode_candidates(record) for record in records_of(sent)]
    assert [len(group) for group in got] == expected
    assert [one for group in got for one in group] == sent
