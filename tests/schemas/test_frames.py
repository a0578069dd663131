"""Equal frames are equal bytes, whatever became of them before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from schemas import frames


def test_equal_frames_are_equal_bytes_however_they_were_made() -> None:
    made = pl.DataFrame({"term": [f"hashtag:longer-than-twelve-bytes-{n:02}" for n in range(20)], "events": range(20)})
    read = frames.from_bytes(frames.to_bytes(made))
    from_two = pl.concat([frames.from_bytes(frames.to_bytes(half)) for half in (made.tail(13), made.head(7))]).sort("term")
    added_up = pl.concat([made, made, made]).group_by("term").agg(pl.col("events").first()).sort("term")
    for frame in (read, from_two, added_up):
        assert frame.equals(made)
        assert frames.to_bytes(frame) == frames.to_bytes(made)


def test_a_frame_comes_back_column_for_column() -> None:
    made = pl.DataFrame(
        {"term": ["a", "é" * 20], "authors": [[], [2**64 - 1]]}, schema={"term": pl.String, "authors": pl.List(pl.UInt64)}
    )
    assert frames.from_bytes(frames.to_bytes(made)).equals(made)
    assert frames.from_bytes(frames.to_bytes(made)).schema == made.schema


_TWO_WRITE_AND_ONE_LOOKS = """
import threading
import polars as pl
from schemas.frames import to_bytes

frame = pl.DataFrame({"a": range(20_000), "b": [str(n) for n in range(20_000)]})
threads = [threading.Thread(target=lambda: [to_bytes(frame) for _ in range(50)], daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    assert frame.height == 20_000
"""


def test_a_frame_is_looked_at_while_threads_write_it() -> None:
    """In a process of its own: what this is about is a deadlock with the interpreter's lock, which no timeout in here survives."""
    subprocess.run([sys.executable, "-c", _TWO_WRITE_AND_ONE_LOOKS], check=True, timeout=60, cwd=Path(__file__).parents[2])


@given(st.lists(st.lists(st.text(max_size=3), max_size=4).map(tuple), max_size=8))
def test_texts_become_the_column_that_polars_makes_of_them(values: list[tuple[str, ...]]) -> None:
    assert_series_equal(frames.texts_of(values), pl.Series(values, dtype=pl.List(pl.String)), check_names=False)
