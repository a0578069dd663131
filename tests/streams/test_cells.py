"""Tables of cells hold on to what they show, and to nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from streams.cells import CELLS, owned

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
