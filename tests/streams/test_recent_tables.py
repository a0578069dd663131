"""Tables that were just packed come back as reading their bytes would give them, in bounded memory."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas import frames
from schemas.packets import PACKET_TERMS
from streams.recent_tables import RecentTables

ROW = {"segment": 0, "window_start_ms": 10_000, "term": "hashtag:a", "authors": [3, 2**64 - 1], "samples": [1]}


def table(events: int) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(frames.COUNTS, 0), **ROW, "events": events}], schema=PACKET_TERMS)


@given(st.lists(st.tuples(st.sampled_from(["pack", "unpack"]), st.integers(0, 5)), max_size=40), st.integers(1, 4_000))
def test_it_cannot_be_told_from_reading_the_bytes(steps: list[tuple[str, int]], most_bytes: int) -> None:
    tables, read = RecentTables(most_bytes), frames.from_bytes
    for step, events in steps:
        data = frames.to_bytes(table(events))
        if step == "pack":
            assert tables.pack(table(events)) == data
        else:
            assert_frame_equal(tables.unpack(data), read(data))
        assert 0 <= tables.bytes <= most_bytes


def test_a_table_that_was_just_packed_is_not_read_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, reads = RecentTables(), list[bytes]()
    packed = table(1)
    data = bytes(bytearray(tables.pack(packed)))  # as the broker sends it

    def read(some: bytes) -> pl.DataFrame:
        reads.append(some)
        return packed

    monkeypatch.setattr(frames, "from_bytes", read)
    assert tables.unpack(data) is packed
    assert (reads, tables.bytes) == ([], 0)
    tables.unpack(data)
    assert reads == [data]


def test_the_oldest_go_when_there_are_too_many() -> None:
    one = RecentTables()
    one.pack(table(0))
    tables = RecentTables(3 * one.bytes)
    packed = [table(events) for events in range(5)]
    sent = [tables.pack(each) for each in packed]
    assert [tables.unpack(data) is each for data, each in zip(sent, packed, strict=True)] == [False, False, True, True, True]
