"""What must come out: the same events counted once more, all at once, with a set for the ids and no stream anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
import polars as pl

from schemas.events import Event, decode_event
from schemas.windows import WINDOW_MS
from streams.brands import compile_watchlist
from streams.enrich import POSTS, EnrichParams, enrich
from tests.benchmarks.brands import BRANDS
from tests.benchmarks.feed import Feed, Record
from tests.benchmarks.plain_terms import terms_of

CELL = ["window_start_ms", "term"]
_CHUNK = 20_000


class WrongCount(Exception):
    """A system that was measured lost or doubled something; its numbers mean nothing."""


@dataclass(frozen=True)
class Recount:
    """Of the events of a feed, without its tail."""

    feed: Feed

    @cached_property
    def posts(self) -> list[tuple[Record, Event]]:
        """Events by their first sight."""
        seen: set[bytes] = set()
        found = []
        for record in self.feed.events:
            if record.key not in seen:
                seen.add(record.key)
                event = decode_event(record.value)
                assert isinstance(event, Event)
                found.append((record, event))
        return found

    @cached_property
    def offsets(self) -> list[int]:
        """Per partition, the offset behind the last event."""
        counts = pl.Series([record.partition for record in self.feed.events]).value_counts(name="n").sort("")
        return counts["n"].to_list()

    @cached_property
    def cells(self) -> pl.DataFrame:
        """Posts per window and term, as drumbeat understands terms."""
        watchlist = compile_watchlist(BRANDS)
        parts = []
        for start in range(0, len(self.posts), _CHUNK):
            some = self.posts[start : start + _CHUNK]
            frame = pl.DataFrame({"text": [e.text for _, e in some], "lang": [e.lang for _, e in some]}).with_columns(
                pl.lit([], POSTS[name]).alias(name) for name in ("tags", "mentions", "links")
            )
            terms = enrich(frame, watchlist, EnrichParams(detect_language="none")).terms
            starts = pl.DataFrame({"window_start_ms": [self._window_ms(*post) for post in some]}).with_row_index("row")
            parts.append(terms.frame().join(starts, on="row").group_by(CELL).agg(pl.len().cast(pl.Int64).alias("events")))
        return added(parts)

    @cached_property
    def plain_cells(self) -> pl.DataFrame:
        """Posts per window and term, as a regular expression finds terms: in the whole text, which drumbeat reads up to a bound."""
        pairs = [(self._window_ms(record, event), terms_of(orjson.loads(record.value)["text"])) for record, event in self.posts]
        table = pl.DataFrame({"window_start_ms": [at for at, _ in pairs], "term": [list(terms) for _, terms in pairs]})
        return table.explode("term").drop_nulls().group_by(CELL).agg(pl.len().cast(pl.Int64).alias("events"))

    def _window_ms(self, record: Record, event: Event) -> int:
        assert event.created_ms is not None
        return min(event.created_ms, record.timestamp_ms) // WINDOW_MS * WINDOW_MS


def added(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row per cell."""
    return pl.concat(parts).group_by(CELL).agg(pl.col("events").sum())


def compare(who: str, expected: pl.DataFrame, found: pl.DataFrame) -> None:
    """Raises WrongCount unless both hold the same cells with the same counts."""
    both = expected.join(found, on=CELL, how="full", coalesce=True, suffix="_found").fill_null(0)
    wrong = both.filter(pl.col("events") != pl.col("events_found")).sort(CELL)
    if wrong.height:
        raise WrongCount(
            f"{who}: {wrong.height} of {expected.height} cells are not what was fed, such as {wrong.head(3).to_dicts()}"
        )


def frame_of(cells: Iterable[tuple[int, str, int]]) -> pl.DataFrame:
    """Cells as a table."""
    return pl.DataFrame(list(cells), schema={"window_start_ms": pl.Int64, "term": pl.String, "events": pl.Int64}, orient="row")
