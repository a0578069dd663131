"""Tables of cells hold on to what they show, and to nothing else; rows are put where they belong."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cells import CELLS, owned, places_of, put_in

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
