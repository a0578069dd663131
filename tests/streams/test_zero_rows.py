"""A stored row whose events turn out to be elsewhere is stored again with 0: nobody else would ever correct it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import polars as pl
import pytest

from schemas import frames
from schemas.events import decode_event
from schemas.packets import Packet
from schemas.watchlist import Brand
from schemas.windows import WindowBatch
from streams.alignment import Piece
from streams.brands import CompiledWatchlist, compile_watchlist
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import Ingested, ingest, provisional, resume
from streams.records import Record
from streams.segment_table import IngestParams
from streams.windows import Emitted, WindowParams, WindowState, apply_pieces, flush_open

BASE = 1_700_000_000_000  # start of a window
HOUR_MS = 3_600_000
NOBODY, ACME = compile_watchlist([]), compile_watchlist([Brand(id="acme")])
PARAMS = WindowParams(lateness_ms=5_000, retain_ms=60_000, min_support=3)
KEYS = ("window_start_ms", "term", "facet", "part")
TABLES = ("rows", "facets", "totals")

Table = dict[tuple[object, ...], dict[str, Any]]


class Stored:
    """The three tables as ClickHouse keeps them: of rows with one key the highest version, and never two of one."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {name: {} for name in TABLES}

    def take(self, told: Emitted | WindowBatch) -> None:
        for name, table in self.tables.items():
            part = getattr(told, name)
            frame = part if isinstance(part, pl.DataFrame) else frames.from_bytes(part) if part else pl.DataFrame()
            for row in frame.iter_rows(named=True):
                key = tuple(row[one] for one in KEYS if one in row)
                known = table.setdefault(key, row)
                assert row["version"] != known["version"] or row == known, f"two bodies of {key}"
                table[key] = max(row, known, key=lambda one: one["version"])

    def events(self, name: str = "rows") -> dict[tuple[int, str], int]:
        """By window and term or facet, what is not 0."""
        found: dict[tuple[int, str], int] = {}
        for row in self.tables[name].values():
            key = row["window_start_ms"] - BASE, row.get("facet") or row["term"]
            found[key] = found.get(key, 0) + row["events"]
        return {key: events for key, events in found.items() if events}


class Pipeline:
    """One raw partition, its detect partitions, and what they store."""

    def __init__(self, partitions: int = 1, lateness_ms: int = 5_000) -> None:
        self.params = IngestParams(sources=1, partitions=partitions, author_key=b"a key for the tests")
        self.ingest, self.stored, self.posts = resume(0, "raw", 0, 0, [], self.params), Stored(), 0
        windows = [WindowParams(number, partitions, lateness_ms=lateness_ms, min_support=3) for number in range(partitions)]
        self.detects = [(params := DetectParams(windows=one), DetectState.fresh(params)) for one in windows]
        self.packets = 0

    def post(self, log_ms: int, text: str = "#fire", watchlist: CompiledWatchlist = NOBODY) -> None:
        payload = orjson.dumps({"id": str(self.posts), "platform": "x", "lang": "en", "author": str(self.posts), "text": text})
        record = Record(self.posts, log_ms, payload)
        self.posts += 1
        self._detect(ingest(self.ingest, [record], decode_event, watchlist, self.params))

    def tell(self, idle_ms: int, watchlist: CompiledWatchlist = NOBODY) -> None:
        self._detect(provisional(self.ingest, BASE + 12 * HOUR_MS, idle_ms, watchlist, self.params))

    def _detect(self, done: Ingested) -> None:
        for (params, state), packet in zip(self.detects, done.packets, strict=False):
            self._one(params, state, packet)
        self.packets += bool(done.packets)

    def _one(self, params: DetectParams, state: DetectState, packet: Packet) -> None:
        again = DetectState.restore(state.snapshot(), params)  # a crash changes nothing
        told = detect(state, packet, self.packets, params)
        assert detect(again, packet, self.packets, params) == told
        assert again.snapshot() == state.snapshot()
        for batch in told.windows:
            self.stored.take(batch)


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_post_stored_at_a_time_that_is_denied_later_is_not_counted_there_any_more(partitions: int) -> None:
    world = Pipeline(partitions)
    for _ in range(10):
        world.post(BASE, "#fire acme", ACME)
    world.post(BASE + 8 * HOUR_MS, "#fire acme", ACME)
    world.tell(3_000, ACME)
    assert world.stored.events()[8 * HOUR_MS, "all:posts"] == 1
    for _ in range(6):
        world.post(BASE + 2_000, "#fire acme", ACME)
    for idle_ms in (3_000, 6_000):
        world.tell(idle_ms, ACME)
    for term in ("all:posts", "hashtag:fire", "brand:acme"):
        assert {key: events for key, events in world.stored.events().items() if key[1] == term} == {(0, term): 17}
    per_watched_term = {(0, "platform:x"): 34, (0, "lang:en"): 34}
    assert world.stored.events("facets") == per_watched_term
    assert sum(row["left_out_events"] for row in world.stored.tables["totals"].values()) == 0


def test_a_brand_that_leaves_the_watchlist_between_a_flush_and_the_final_packet_is_not_stored_any_more() -> None:
    world = Pipeline()
    world.post(BASE)
    for _ in range(8):
        world.post(BASE + 1_000, "acme", ACME)
    world.tell(3_000, ACME)
    assert world.stored.events()[0, "brand:acme"] == 8
    world.post(BASE + 2_000, "acme", NOBODY)
    world.tell(60_000)
    assert {term: events for (_, term), events in world.stored.events().items()} == {"all:posts": 10, "keyword:acme": 9}
    assert world.stored.events("facets") == {(0, "platform:x"): 10, (0, "lang:en"): 10}


def piece(rows: dict[tuple[int, str], int], end: int, *, final: bool = False, step_ms: int = 0) -> Piece:
    """The segment of source 0 that starts at 70, with so many events of a term in a window."""
    counts = [
        {"window_start_ms": BASE + start, "term": term, "events": events, "authors": [1]} for (start, term), events in rows.items()
    ]
    facets = [
        {"window_start_ms": BASE + start, "term": term, "facet": "lang:en", "events": n}
        for (start, term), n in rows.items()
        if term.startswith("all:")
    ]
    table = pl.concat([frames.empty(frames.TERM_ROWS), pl.DataFrame(counts)], how="diagonal_relaxed")
    filled = table.with_columns(pl.col(list(frames.COUNTS)).fill_null(0)).cast(frames.TERM_ROWS)  # type: ignore[arg-type]
    return Piece(BASE + step_ms, 0, 70, end, final, filled, pl.DataFrame(facets, schema=frames.FACET_ROWS))


GUESS = {(0, "all:posts"): 4, (0, "hashtag:x"): 4, (0, "hashtag:y"): 1}
TRUTH = {(10_000, "all:posts"): 4, (10_000, "hashtag:x"): 2, (10_000, "hashtag:z"): 5}


@pytest.mark.parametrize("flushes", [(), (4,), (4, 5)])
def test_what_a_flush_stored_and_is_nothing_now_is_stored_as_zero_when_its_window_closes_at_the_latest(
    flushes: tuple[int, ...],
) -> None:
    state, stored = WindowState(), Stored()
    apply_pieces(state, [piece(GUESS, 80)], BASE + 1_000, 1, PARAMS)
    stored.take(flush_open(state, 2, PARAMS))
    assert stored.events() == {(0, "all:posts"): 4, (0, "hashtag:x"): 4}
    stored.take(apply_pieces(state, [piece(TRUTH, 90, final=True)], BASE + 2_000, 3, PARAMS))
    for version in flushes:
        stored.take(flush_open(state, version, PARAMS))
    stored.take(apply_pieces(state, [], BASE + 30_000, 6, PARAMS))
    assert stored.events() == {(10_000, "all:posts"): 4, (10_000, "hashtag:z"): 5}
    assert stored.events("facets") == {(10_000, "lang:en"): 4}
    left = {
        row["window_start_ms"] - BASE: (row["left_out_terms"], row["left_out_events"]) for row in stored.tables["totals"].values()
    }
    assert left == {0: (0, 0), 10_000: (1, 2)}
    gone = [row for row in stored.tables["rows"].values() if row["window_start_ms"] == BASE]
    assert [(row["events"], row["authors"]) for row in gone] == [(0, [])] * 2
    assert not state.sent_rows
    assert not state.sent_totals


def test_a_flush_remembers_nothing_of_rows_that_came_to_nothing() -> None:
    state = WindowState()
    apply_pieces(state, [piece(GUESS, 80)], BASE + 1_000, 1, PARAMS)
    flush_open(state, 2, PARAMS)
    apply_pieces(state, [piece({}, 90, final=True)], BASE + 2_000, 3, PARAMS)
    flush_open(state, 4, PARAMS)
    assert state.sent_rows == 0
    assert state.sent_totals == set()


def test_rows_of_a_closed_window_that_are_taken_off_again_are_stored_as_zero_and_do_not_come_back() -> None:
    state, stored = WindowState(), Stored()
    apply_pieces(state, [], BASE + 30_000, 1, PARAMS)
    stored.take(apply_pieces(state, [piece(GUESS, 80, step_ms=30_000)], BASE + 31_000, 2, PARAMS))
    assert stored.events() == {(0, "all:posts"): 4}
    stored.take(apply_pieces(state, [piece(TRUTH, 90, final=True, step_ms=30_000)], BASE + 32_000, 3, PARAMS))
    assert stored.events() == {(10_000, "all:posts"): 4}
    assert stored.events("facets") == {(10_000, "lang:en"): 4}
    late = replace(piece({(0, "all:posts"): 1}, 100, final=True, step_ms=33_000), start=90)
    stored.take(apply_pieces(state, [late], BASE + 34_000, 4, PARAMS))
    assert stored.events()[0, "all:posts"] == 1
    assert stored.events("facets")[0, "lang:en"] == 1


def test_a_term_stored_by_a_flush_and_taken_off_after_its_window_closed_is_stored_as_zero() -> None:
    state, stored = WindowState(), Stored()
    apply_pieces(state, [piece(GUESS, 80)], BASE + 1_000, 1, PARAMS)
    stored.take(flush_open(state, 2, PARAMS))
    stored.take(apply_pieces(state, [], BASE + 30_000, 3, PARAMS))
    stored.take(apply_pieces(state, [piece(TRUTH, 90, final=True, step_ms=30_000)], BASE + 31_000, 4, PARAMS))
    assert stored.events() == {(10_000, "all:posts"): 4}
    left = {row["window_start_ms"] - BASE: row["left_out_events"] for row in stored.tables["totals"].values()}
    assert left == {0: 0, 10_000: 7}


def test_only_its_owner_stores_the_facets_of_all_posts_when_a_pause_comes() -> None:
    facets = []
    for number in range(2):
        state, params = WindowState(), replace(PARAMS, partition=number, partitions=2)
        apply_pieces(state, [piece(GUESS, 80)], BASE + 1_000, 1, params)
        facets += flush_open(state, 2, params).facets.select("facet", "events").rows()
    assert facets == [("lang:en", 4)]
