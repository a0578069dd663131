"""Tables of cells hold on to what they show, and to nothing else; rows are put where they belong."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.frames import SKETCH_SIZE
from streams.cells import CELL, CELLS, SUMS, Added, add_cells, owned, places_of, put_in

STATUS = Path("/proc/self/status")


def cells(count: int) -> pl.DataFrame:
    columns = {name: [0] * count for name in CELLS if name not in ("term", "authors")}
    names = [f"keyword:a-long-word-that-is-not-kept-inline-{n}" for n in range(count)]
    return pl.DataFrame({**columns, "term": names, "authors": [[1, 2]] * count}, schema=CELLS)


def few_of(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.int_range(pl.len()) % 100 == 0)


def resident_bytes() -> int:
    found = re.search(r"^RssAnon:\s+(\d+) kB$", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def test_rows_of_their_own_are_the_same_rows() -> None:
    few = few_of(cells(1_000))
    assert owned(few).equals(few)
    assert owned(few).schema == few.schema
    assert owned(few.clear()).equals(few.clear())


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux says how much memory is resident")
def test_rows_of_their_own_do_not_keep_the_table_they_come_from_in_memory() -> None:
    table = cells(200_000)
    kept = [owned(few_of(table))]  # what the first time takes is taken
    before = resident_bytes()
    for number in range(20):
        other = table.with_columns(pl.format("{}-{}", "term", pl.lit(number)))  # 10 MB of other names
        kept.append(owned(few_of(other)))
    assert resident_bytes() - before < 100_000_000, "20 x 10 MB if each few rows keep all names"


WORDS = st.lists(st.text(alphabet="ab\u00e9\U0001f600", max_size=3), unique=True, max_size=12)


@given(WORDS, WORDS, WORDS)
def test_rows_are_put_in_as_if_the_table_had_been_made_with_them(had: list[str], now: list[str], asked: list[str]) -> None:
    def counted(terms: list[str], events: int) -> pl.DataFrame:
        return pl.DataFrame({"term": terms, "events": [events] * len(terms)}, schema={"term": pl.String, "events": pl.Int64})

    table = counted(had, 1).sort("term")
    touched = pl.Series(sorted({*now, *asked}), dtype=pl.String)
    places = places_of(touched, table)
    assert table["term"].gather(places).to_list() == sorted(set(had) & {*now, *asked})
    expected = pl.concat([table.filter(~pl.col("term").is_in(touched.implode())), counted(now, 2)]).sort("term")
    assert put_in(counted(now, 2).sort("term"), table, places).equals(expected)


ROWS = st.fixed_dictionaries(
    {
        "window_start_ms": st.sampled_from([-10_000, 0, 10_000]),
        "term": st.sampled_from(["all:posts", "keyword:a", "keyword:longer-than-what-is-kept-inline", "keyword:\u00e9"]),
        **dict.fromkeys(SUMS, st.integers(-2, 2)),
        "authors": st.sets(st.integers(0, 2**63) | st.integers(0, 3), max_size=3).map(sorted),
    }
)


@given(st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=5), st.integers(1, SKETCH_SIZE))
def test_cells_are_what_their_rows_add_up_to(parts: list[list[dict[str, object]]], copies: int) -> None:
    tables = [pl.DataFrame(rows, schema=CELLS) for rows in parts]
    many = [
        table.with_columns(pl.col("authors").list.eval(pl.element() + number * 2**32))
        for table in tables
        for number in range(copies)
    ]
    table = pl.concat(many)
    added = Added(table)
    whole = added.frame(added.cells).sort(CELL)
    assert added.with_sketches(whole).equals(add_cells([table]))
    some = whole.filter(pl.col("term") != "keyword:a")
    assert added.with_sketches(some).equals(add_cells([table]).filter(pl.col("term") != "keyword:a"))
    assert added.where(pl.col("term") == "all:posts")[added.cells].sum() == (whole["term"] == "all:posts").sum()
