"""A second opinion on every count: raw partitions read again from their start and counted event by event.

It shares decoding and term extraction with the pipeline, and of the segments what they define: the log clock, hence the time that a
record counts at and the second in which it was seen. No packets, windows, alignment, nor any array arithmetic.
An event is a copy if its id came before within the horizon: both sights in whole seconds of the log clock as their segments began.
What the pipeline forgets before that, because an id came among more than `max_ids` (streams.dedup) others, is remembered here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import polars as pl

from schemas import frames
from schemas.errors import MalformedEvent
from schemas.events import COUNTED_KINDS, Event, Skipped
from schemas.windows import WINDOW_MS
from streams.brands import CompiledWatchlist
from streams.enrich import POSTS, EnrichParams, enrich
from streams.segments import STEP_MS, Cut, Cutter, SegmentParams, Stamp

NEVER_MS = 2**62  # ready_ms of what need not be stored yet
CELL = ["term", "window_start_ms"]
CELLS = {"term": pl.String, "window_start_ms": pl.Int64, "ready_ms": pl.Int64, "events": pl.Int64}
READY_STEP_MS = 60_000  # cells are kept apart by the minute in which their events were seen; a second would be many more rows
_FORGET_IDS = 200_000  # at least so many more ids before the old ones are looked for

Decoder = Callable[[bytes], Event | Skipped]
_Content = Event | Skipped | MalformedEvent


class RawRecord(NamedTuple):
    """One record as the broker keeps it."""

    offset: int
    log_ms: int
    value: bytes


class Sight(NamedTuple):
    """An event that is no copy."""

    offset: int
    step_ms: int  # second of the log clock in which it was seen
    log_ms: int  # what its timestamp is taken for
    event: Event

    @property
    def event_ms(self) -> int:
        """The author's clock, or the log's where that is missing or ahead of it."""
        created_ms = self.event.created_ms
        return self.log_ms if created_ms is None else min(created_ms, self.log_ms)


class Dead(NamedTuple):
    """A record that does not decode."""

    offset: int
    log_ms: int
    reason: str


class Open(NamedTuple):
    """What the open segment holds so far."""

    sights: list[Sight]  # decided
    perhaps: list[Sight]  # records whose timestamp is not believed yet: at that time, and again at the log clock
    end: int  # offset behind the last record


@dataclass(slots=True)
class Outcomes:
    """Records of finished segments, by what became of them."""

    records: int = 0
    counted: int = 0
    duplicates: int = 0
    changes: int = 0  # edits and deletes: decoded, not one more voice
    filtered: int = 0  # well-formed, but no event
    dead: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class RawPartition:
    """One raw partition, read from `start`. Remembers ids for the horizon, and the records of the open segment."""

    start: int
    decode: Decoder
    horizon_ms: int
    outcomes: Outcomes = field(default_factory=Outcomes)
    sights: list[Sight] = field(default_factory=list)  # of finished segments, for whoever counts them to take away
    dead: list[Dead] = field(default_factory=list)  # likewise, and of the open segment too
    clocks: list[tuple[int, int]] = field(default_factory=list)  # (end, log clock with the record behind) of finished segments
    cutter: Cutter = field(init=False)
    first_clock_ms: int | None = None  # log clock behind the first segment
    _waiting: deque[tuple[RawRecord, _Content]] = field(default_factory=deque)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _forget_at: int = _FORGET_IDS

    def __post_init__(self) -> None:
        self.cutter = Cutter(self.start, None, SegmentParams())

    def feed(self, records: Iterable[RawRecord]) -> None:
        """Takes the next records of the log."""
        for record in records:
            content = _decoded(self.decode, record.value)
            if isinstance(content, MalformedEvent):
                self.dead.append(Dead(record.offset, record.log_ms, content.reason))
            self._waiting.append((record, content))
            for cut in self.cutter.push([Stamp(record.offset, record.log_ms, len(record.value))]):
                self._finish(cut)

    def open(self) -> Open:
        """The open segment; changes nothing."""
        clock_ms, held = self.cutter.clock_ms, {stamp.offset: stamp.log_ms for stamp in self.cutter.held}
        newest_ms = max([*held.values(), clock_ms if clock_ms is not None else 0])
        found, local = Open([], [], self.cutter.open_end()), dict[tuple[str, str], int]()
        for place, (record, content) in enumerate(self._waiting):
            if not isinstance(content, Event):
                continue
            times = self.cutter.times[place : place + 1] or [held[record.offset], clock_ms or held[record.offset]]
            before = local.get(_identity(content), self._seen.get(_identity(content)))
            into = found.perhaps if record.offset in held else found.sights
            if self._is_new(before, newest_ms if held else clock_ms or 0):
                into += [Sight(record.offset, newest_ms // STEP_MS * STEP_MS, time_ms, content) for time_ms in times]
            local[_identity(content)] = newest_ms // STEP_MS
        return found

    def finish(self) -> None:
        """The log goes no further: the open segment is counted as it stands, and the timestamps held back are believed."""
        cutter = self.cutter
        held, cutter.held, cutter.params = cutter.held, [], replace(cutter.params, confirm_records=1)
        for cut in cutter.push(held):
            self._finish(cut)
        if cutter.times and cutter.clock_ms is not None:
            step_ms = cutter.clock_ms // STEP_MS * STEP_MS
            self._finish(Cut(cutter.start, cutter.open_end(), step_ms, cutter.clock_ms, cutter.clock_ms, tuple(cutter.times)))

    def clock_at(self, offset: int) -> int | None:
        """The log clock that a segment ending at or last before the offset left behind; None: none has ended."""
        return next((clock for end, clock in reversed(self.clocks) if end <= offset), None)

    def forget_clocks(self, offset: int) -> None:
        """Segments that ended before the last one at or before the offset will not be asked for again."""
        while len(self.clocks) > 1 and self.clocks[1][0] <= offset:
            del self.clocks[0]

    def _finish(self, cut: Cut) -> None:
        self.clocks.append((cut.end, cut.clock_ms))
        self.first_clock_ms = cut.clock_ms if self.first_clock_ms is None else self.first_clock_ms
        for time_ms in cut.times_ms:
            record, content = self._waiting.popleft()
            self._count(content, Sight(record.offset, cut.step_ms, time_ms, content) if isinstance(content, Event) else None)
        if len(self._seen) >= self._forget_at:
            oldest = (cut.step_ms - self.horizon_ms) // STEP_MS
            self._seen = {identity: step for identity, step in self._seen.items() if step >= oldest}
            self._forget_at = 2 * len(self._seen) + _FORGET_IDS

    def _count(self, content: _Content, sight: Sight | None) -> None:
        outcomes = self.outcomes
        outcomes.records += 1
        if isinstance(content, MalformedEvent):
            outcomes.dead[content.reason] += 1
        elif sight is None:
            outcomes.filtered += 1
        elif not self._is_new(self._seen.get(_identity(sight.event)), sight.step_ms):
            outcomes.duplicates += 1
        else:
            voice = sight.event.kind in COUNTED_KINDS
            outcomes.counted, outcomes.changes = outcomes.counted + voice, outcomes.changes + (not voice)
            self.sights.append(sight)
        if sight is not None:
            self._seen[_identity(sight.event)] = sight.step_ms // STEP_MS

    def _is_new(self, before: int | None, step_ms: int) -> bool:
        return before is None or step_ms // STEP_MS - before > self.horizon_ms // STEP_MS


def count_cells(sights: Sequence[Sight], watchlist: CompiledWatchlist, *, ready: bool = True) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events per (term, window, minute in which they were seen), as CELLS; and (row, brand) of the sights that name a brand.

    With `ready` False nobody may expect them to be stored yet.
    """
    events = [sight.event for sight in sights]
    texts = {"text": [event.text for event in events], "lang": [event.lang for event in events]}
    table = pl.DataFrame(texts, schema={name: POSTS[name] for name in texts}).with_columns(
        frames.texts_of([event.tags for event in events]).alias("tags"),
        frames.texts_of([event.mentions for event in events]).alias("mentions"),
        frames.texts_of([event.links for event in events]).alias("links"),
    )
    enriched = enrich(table, watchlist, EnrichParams(detect_language="none"))
    starts = [sight.event_ms // WINDOW_MS * WINDOW_MS for sight in sights]
    seen = [(sight.step_ms // READY_STEP_MS + 1) * READY_STEP_MS if ready else NEVER_MS for sight in sights]
    times = {"window_start_ms": starts, "ready_ms": seen, "counts": [event.kind in COUNTED_KINDS for event in events]}
    of_row = pl.DataFrame(times, schema={"window_start_ms": pl.Int64, "ready_ms": pl.Int64, "counts": pl.Boolean})
    rows = enriched.terms.frame().join(of_row.with_row_index("row"), on="row").filter("counts")
    cells = rows.group_by(*CELL, "ready_ms").agg(pl.len().cast(pl.Int64).alias("events"))
    return cells.select(list(CELLS)), enriched.brands


def add_up(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The same counts, one row per key."""
    table = pl.concat([pl.DataFrame(schema=CELLS), *parts])
    return table.group_by(*CELL, "ready_ms").agg(pl.col("events").sum())


def _decoded(decode: Decoder, value: bytes) -> _Content:
    try:
        return decode(value)
    except MalformedEvent as error:
        return error


def _identity(event: Event) -> tuple[str, str]:
    return event.platform, event.id
