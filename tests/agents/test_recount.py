"""The recount agrees with the pipeline where the rules are subtle, and with plain counting where they are plain."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import orjson
import polars as pl
import pytest

from agents.recount import RawPartition, RawRecord, Sight, add_up, count_cells
from agents.recount_tally import Said, Tally
from agents.settings import Settings
from schemas.events import decode_event
from schemas.packets import term_rows
from streams.brands import compile_watchlist
from streams.dedup import DedupParams
from streams.ingest import ingest, provisional, resume
from streams.segment_table import IngestParams
from tests.integration.stream import BRANDS, PARTITIONS, Cell, make_stream
from tests.integration.stream import recount as plain_recount
from tests.streams.world import make_log

BASE = 1_760_000_000_000
WATCHLIST = compile_watchlist(BRANDS)
HORIZON_MS = 20_000


def raw(identifier: str, log_ms: int, **fields: Any) -> tuple[int, bytes]:
    return log_ms, orjson.dumps({"id": identifier, "platform": "x", "text": "acme harbour", **fields})


def partition_of(records: list[tuple[int, bytes]], horizon_ms: int = HORIZON_MS) -> RawPartition:
    found = RawPartition(0, decode_event, horizon_ms)
    found.feed(RawRecord(offset, log_ms, value) for offset, (log_ms, value) in enumerate(records))
    return found


def cells_of(sights: list[Sight]) -> Counter[Cell]:
    rows = count_cells([sight for sight in sights if sight.event.kind != "delete"], WATCHLIST)[0]
    counts = Counter[Cell]()
    for term, start, events in rows.select("term", "window_start_ms", "events").iter_rows():
        counts[Cell(term, start)] += events
    return counts


@pytest.mark.parametrize("seed", range(12))
def test_it_counts_what_ingest_counts_whatever_the_stamps(seed: int) -> None:
    rng = random.Random(seed)
    log = make_log(rng, 600)
    params = IngestParams(sources=1, partitions=1, author_key=b"longenough", dedup=DedupParams(HORIZON_MS))
    state, counts, outcomes = resume(0, "raw", 0, 0, (), params), Counter[Cell](), Counter[str]()
    found = RawPartition(0, decode_event, HORIZON_MS)
    while log:
        part, log = log[: (n := rng.randint(1, 90))], log[n:]
        found.feed(RawRecord(*record) for record in part)
        done = ingest(state, part, decode_event, WATCHLIST, params)
        outcomes += done.outcomes
        for packet in done.packets:
            counts += _terms(packet.terms and term_rows(packet))
    assert cells_of(found.sights) == counts
    assert (found.outcomes.counted, found.outcomes.duplicates) == (outcomes["counted"], outcomes["duplicate"])
    assert found.outcomes.dead.total() == outcomes["dead"]
    assert found.outcomes.changes + found.outcomes.filtered == outcomes["filtered"]
    opened = found.open()
    (packet,) = provisional(state, 2**42, 0, WATCHLIST, params).packets
    assert opened.end == packet.segments[0].end
    least, most = cells_of(opened.sights), cells_of(opened.sights + opened.perhaps)
    told = _terms(packet.terms and term_rows(packet))
    assert least <= told <= most


def _terms(rows: Any) -> Counter[Cell]:
    counts = Counter[Cell]()
    if isinstance(rows, pl.DataFrame):
        for term, start, events in rows.select("term", "window_start_ms", "events").iter_rows():
            counts[Cell(term, start)] += events
    return counts


def test_it_agrees_with_plain_counting_of_a_stream_in_which_no_rule_is_at_its_edge() -> None:
    stream, broken = make_stream(3)
    settings = Settings()
    expected = plain_recount(stream, settings.lateness_ms)
    tally, dead = Tally(WATCHLIST, 0, 2**50), Counter[str]()
    for number in range(PARTITIONS):
        found = partition_of([(m.timestamp_ms, m.value) for m in stream if m.partition == number], settings.dedup_horizon_ms)
        found.finish()
        tally.add(found.sights)
        dead += found.outcomes.dead
    rows = tally.cells().group_by("term", "window_start_ms").agg(pl.col("events").sum())
    assert {Cell(term, start): n for term, start, n in rows.iter_rows()} == expected.cells
    assert {post for _, post in tally.mentions.keys() - tally.deleted} == expected.mentioned
    assert dead == broken


@pytest.mark.parametrize(("counted", "later_ms"), [(1, 20_999), (2, 21_000)])
def test_copies_are_told_by_whole_seconds_of_the_log_clock(counted: int, later_ms: int) -> None:
    others = [raw(f"o{n}", BASE + n) for n in range(8)]
    found = partition_of([*others, raw("a", BASE + 500), raw("a", BASE + later_ms), raw("z", BASE + 60_000)])
    assert found.outcomes.counted == 8 + counted


def test_an_absurd_stamp_counts_at_the_log_clock_and_moves_nothing() -> None:
    others = [raw(f"o{n}", BASE + n * 100) for n in range(10)]
    ahead, behind = raw("ahead", 4_070_908_800_000), raw("behind", 0)
    found = partition_of([*others, ahead, behind, *(raw(f"p{n}", BASE + 2_000 + n) for n in range(5)), raw("z", BASE + 9_000)])
    times = {sight.event.id: sight.log_ms for sight in found.sights}
    assert times["ahead"] == times["behind"] == BASE + 900


def test_what_the_open_segment_holds_is_told_apart_and_a_doubtful_record_counts_at_either_time() -> None:
    others = [raw(f"o{n}", BASE + n * 100) for n in range(10)]
    found = partition_of([*others, raw("last", BASE + 5_000), raw("leap", BASE + 10**9), raw("last", BASE + 10**9)])
    opened = found.open()
    assert [sight.event.id for sight in opened.sights] == ["last"]
    assert {sight.log_ms for sight in opened.perhaps if sight.event.id == "leap"} == {BASE + 10**9, BASE + 5_000}
    assert found.outcomes.counted == 10
    assert found.clock_at(10) == BASE + 5_000
    assert found.clock_at(9) is None


def test_cells_are_of_posts_and_mentions_of_edits_too() -> None:
    edit = raw("a#edit", BASE + 20, kind="edit", post_id="a", text="zenit now")
    gone = raw("b#delete", BASE + 30, kind="delete", post_id="b")
    found = partition_of([*(raw(f"o{n}", BASE, text="harbour") for n in range(8)), raw("a", BASE + 10), edit, gone])
    found.finish()
    tally = Tally(WATCHLIST, BASE, BASE + 10_000)
    tally.add(found.sights)
    assert add_up([tally.cells()]).filter(pl.col("term") == "all:posts")["events"].to_list() == [9]
    assert tally.mentions == {("x", "a"): {Said(BASE + 10, BASE + 10), Said(BASE + 20, BASE + 20)}}
    assert tally.deleted == {("x", "b")}


def test_only_windows_that_are_asked_for_are_kept() -> None:
    tally = Tally(WATCHLIST, BASE + 10_000, BASE + 20_000)
    found = partition_of([raw(f"o{n}", BASE + n * 1_000) for n in range(40)])
    tally.add(found.sights)
    assert set(tally.cells()["window_start_ms"]) == {BASE + 10_000}
    assert len(tally.mentions) == 10
