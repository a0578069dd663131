"""What is counted of every watched brand, summed over TALLY_MS and told once; what moments about mood, share and reach are made of.

A function of the ticks so far. Bounded: one tally per brand on the watchlist, with as many facets as platforms, languages and
communities named it within TALLY_MS; MAX_FACETS of them are told.
"""

from __future__ import annotations

import msgspec
import polars as pl

from schemas.candidates import MAX_FACETS, TALLY_SAMPLES, SampleRef, Tally
from streams.samples import references
from streams.sketches import merge_samples
from streams.tracks import WATCHED_PREFIX

TALLY_MS = 10_000

_SUMS = ("events", "sentiment_events", "sentiment_milli", "reach")


class Count(msgspec.Struct):
    """A tally that is not told yet."""

    events: int = 0
    sentiment_events: int = 0
    sentiment_milli: int = 0
    reach: int = 0
    facets: dict[str, int] = {}  # msgspec copies it
    samples: tuple[SampleRef, ...] = ()


class TallyState(msgspec.Struct):
    """Owned by the caller; a plain value."""

    until_ms: int = -1  # end of the span of the log clock that is counted now
    counts: dict[str, Count] = {}  # by term


def of_brands(rows: pl.DataFrame) -> pl.DataFrame:
    """Those of the rows whose terms are watched brands."""
    return rows.filter(pl.col("term").str.starts_with(WATCHED_PREFIX))


def tally(state: TallyState, tick_ms: int, rows: pl.DataFrame, facets: pl.DataFrame) -> tuple[Tally, ...]:
    """Adds a tick's rows of watched brands (columns of frames.TERM_ROWS and frames.FACET_ROWS).

    If the tick ends the span, its tallies, sorted by term.
    """
    if state.until_ms < 0:
        state.until_ms = -(-tick_ms // TALLY_MS) * TALLY_MS
    _add(state.counts, rows, facets)
    if tick_ms < state.until_ms:
        return ()
    told = tuple(_told(term, count, tick_ms) for term, count in sorted(state.counts.items()) if count.events > 0)
    state.until_ms, state.counts = -1, {}
    return told


def _add(counts: dict[str, Count], rows: pl.DataFrame, facets: pl.DataFrame) -> None:
    for row in rows.iter_rows(named=True):
        count = counts.setdefault(row["term"], Count())
        for name in _SUMS:
            setattr(count, name, getattr(count, name) + row[name])
        count.samples = merge_samples(count.samples, references(row["samples"] or ()), TALLY_SAMPLES)
    for term, facet, events in zip(*(facets[name].to_list() for name in ("term", "facet", "events")), strict=True):
        if term in counts:
            counts[term].facets[facet] = counts[term].facets.get(facet, 0) + events


def _told(term: str, count: Count, tick_ms: int) -> Tally:
    most = sorted(((facet, n) for facet, n in count.facets.items() if n > 0), key=lambda one: (-one[1], one[0]))
    return Tally(
        term=term,
        end_ms=tick_ms,
        events=count.events,
        sentiment_events=max(count.sentiment_events, 0),
        sentiment_milli=count.sentiment_milli,
        reach=max(count.reach, 0),
        facets=dict(most[:MAX_FACETS]),
        samples=count.samples,
    )
