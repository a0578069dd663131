"""Tallies add up to what was counted, each event in one of them."""

from __future__ import annotations

import polars as pl

from schemas import frames
from streams.tallies import TALLY_MS, TallyState, of_brands, tally
from tests.streams.crowds import START_MS

BASE = START_MS // TALLY_MS * TALLY_MS


def rows(*cells: tuple[str, int]) -> pl.DataFrame:
    made = [
        {
            "window_start_ms": BASE,
            "term": term,
            **dict.fromkeys(frames.COUNTS, events),
            "authors": [],
            "samples": [events] if events > 0 else [],  # offsets of partition 0
        }
        for term, events in cells
    ]
    return of_brands(pl.DataFrame(made, schema=frames.TERM_ROWS))


def facets(*cells: tuple[str, str, int]) -> pl.DataFrame:
    return of_brands(pl.DataFrame([(BASE, *cell) for cell in cells], schema=frames.FACET_ROWS, orient="row"))


NOTHING = rows(), facets()


def test_brands_are_summed_until_the_span_ends() -> None:
    state = TallyState()
    counted = rows(("brand:acme", 2), ("keyword:x", 9), ("all:posts", 9))
    first = counted, facets(("brand:acme", "lang:en", 2), ("all:posts", "lang:en", 9))
    assert tally(state, BASE + 1_000, *first) == ()
    (told,) = tally(state, BASE + TALLY_MS, rows(("brand:acme", 3)), facets(("brand:acme", "lang:de", 3)))
    assert (told.term, told.events, told.reach, told.end_ms) == ("brand:acme", 5, 5, BASE + TALLY_MS)
    assert list(told.facets.items()) == [("lang:de", 3), ("lang:en", 2)]
    assert sorted(ref.offset for ref in told.samples) == [2, 3]
    assert tally(state, BASE + 2 * TALLY_MS, *NOTHING) == ()


def test_a_quiet_stream_tells_with_its_next_tick() -> None:
    state = TallyState()
    tally(state, BASE + 1_000, rows(("brand:acme", 2)), facets())
    (told,) = tally(state, BASE + 90_000, *NOTHING)
    assert (told.events, told.end_ms) == (2, BASE + 90_000)


def test_what_was_taken_back_is_not_told() -> None:
    state = TallyState()
    tally(state, BASE + 1_000, rows(("brand:acme", 2)), facets(("brand:acme", "lang:en", 2)))
    assert tally(state, BASE + TALLY_MS, rows(("brand:acme", -2)), facets(("brand:acme", "lang:en", -2))) == ()
