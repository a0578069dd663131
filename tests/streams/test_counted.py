from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import frames
from streams.counted import Counted
from streams.samples import references
from streams.tracks import Row

TERMS = ("all:posts", "brand:acme", "hashtag:a", "keyword:b", "keyword:ü")
ROWS = st.fixed_dictionaries(
    {
        "window_start_ms": st.integers(0, 9).map(lambda number: number * 10_000),
        "term": st.sampled_from(TERMS),
        **{name: st.integers(-3, 3) for name in frames.COUNTS},
        "authors": st.lists(st.integers(0, 2**64 - 1), max_size=2) | st.none(),
        "samples": st.lists(st.integers(0, 2**64 - 1), max_size=2) | st.none(),
    }
)


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=frames.TERM_ROWS)


def plain(counted: Counted, at: np.ndarray[Any, np.dtype[np.int64]]) -> list[Any]:
    columns = [column[at].tolist() for column in (counted.hashes, counted.watched, counted.windows, counted.events)]
    read = [row._replace(authors=list(row.authors), samples=list(row.samples)) for row in counted.read(at)]
    return list(zip(*columns, read, strict=True))


def expected(rows: list[dict[str, Any]]) -> list[Row]:
    def one(row: dict[str, Any]) -> Row:
        counts = tuple(row[name] for name in frames.COUNTS)
        return Row(row["term"], row["window_start_ms"], counts, row["authors"] or [], list(references(row["samples"] or ())))

    return [one(row) for row in rows if not row["term"].startswith("all:")]


@pytest.mark.parametrize("repeat", [1, 60], ids=["few rows", "many rows"])
@given(rows=st.lists(ROWS, min_size=1, max_size=8), share=st.sampled_from([1, 3]))
def test_rows_are_read_as_they_are_and_without_those_of_all_posts(repeat: int, rows: list[dict[str, Any]], share: int) -> None:
    counted, own = Counted.of(table(rows * repeat)), expected(rows * repeat)
    at = np.arange(0, len(counted.hashes), share)[::-1].copy()
    found = plain(counted, at)
    assert [row for *_, row in found] == [own[i] for i in at.tolist()]
    assert [(watched, window, events) for _, watched, window, events, _ in found] == [
        (row.term.startswith("brand:"), row.start_ms, row.counts[0]) for row in (own[i] for i in at.tolist())
    ]
    assert (
        len({(key, row.term) for key, *_, row in found}) == len({row.term for *_, row in found}) == len({one[0] for one in found})
    )


@given(rows=st.lists(ROWS, min_size=1, max_size=12), cuts=st.lists(st.integers(0, 12), max_size=3), many=st.booleans())
def test_a_part_is_what_its_rows_alone_would_be(rows: list[dict[str, Any]], cuts: list[int], many: bool) -> None:
    rows = rows * 25 if many else rows
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    every = Counted.of(table(rows))
    for start, end in pairwise(bounds):
        part, alone = every.part(start, end), Counted.of(table(rows[start:end]))
        assert len(part.hashes) == len(alone.hashes)
        at = np.arange(len(part.hashes))
        assert plain(part, at) == plain(alone, at)
