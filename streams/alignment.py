"""Alignment: packets of all sources in one canonical order, each segment exactly once, however their arrival interleaves.

Per source, `next` is the offset up to which final segments were taken: an earlier segment is a replay and dropped, a
later one is a gap and stops the pipeline. Segments wait until every source that holds the watermark has passed their
second of the log clock; then they are handed out by (second, source, start). The watermark never goes back.

A source does not hold it when it is idle (it said so in a packet), or trails the fastest by more than `stall_ms`
without being behind in its log; but what it said is good for `stall_ms` beyond the newest clock of that time only: in a
replay others may leap ahead by months while its own records are on their way. Its open segment is handed out too, as far
as it was told, so that it is not late. Nor does a source hold the watermark when more than `max_pending` segments or
`max_pending_rows` of their rows wait: then the oldest go on, and what it still brings for their time is late.
When all are idle, time goes on at the pace that their packets report. All of this is decided from packets, so it is a
function of the partials log.
State: one entry per source, at most `max_pending` segments with `max_pending_rows` rows, and one open segment per source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field

import msgspec
import polars as pl

from schemas import frames
from schemas.errors import BrokenLog
from schemas.packets import NO_CLOCK_MS, Packet, Segment, facet_rows, term_rows
from streams.cells import slices_by
from streams.segments import STEP_MS


@dataclass(frozen=True, slots=True)
class AlignmentParams:
    """Whom to wait for, and how long."""

    stall_ms: int = 60_000  # log time; a source fed from an old backlog must not delay the others' alerts for ever
    max_pending: int = 200_000  # segments; a table without rows takes 1 kB
    max_pending_rows: int = 2_000_000  # about 200 bytes each; with those of facets
    unpack: Callable[[bytes], pl.DataFrame] = frames.from_bytes  # tables of packets

    def __post_init__(self) -> None:
        if self.stall_ms < STEP_MS or min(self.max_pending, self.max_pending_rows) < 1:
            raise ValueError("stall_ms must be at least 1000, max_pending and max_pending_rows at least 1")


class Source(msgspec.Struct):
    """What is known of one raw partition."""

    next: int
    clock_ms: int = NO_CLOCK_MS
    idle_ms: int = 0
    idle_clock_ms: int = NO_CLOCK_MS
    behind: bool = False
    newest_ms: int = NO_CLOCK_MS  # newest clock of all sources when this one last spoke
    applied_end: int = NO_CLOCK_MS  # end of the open segment [next, ...) as handed out before it was final, or none
    told_end: int = NO_CLOCK_MS  # the furthest that anybody has said of the open segment, or none


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment's rows, waiting or handed out."""

    step_ms: int
    source: int
    start: int
    end: int
    final: bool
    terms: pl.DataFrame  # frames.TERM_ROWS
    facets: pl.DataFrame  # frames.FACET_ROWS
    rows: int = field(init=False)  # of both tables; asked of all that wait, at every packet

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.terms.height + self.facets.height)

    @property
    def place(self) -> tuple[int, int, int]:
        """Its position in the canonical order."""
        return self.step_ms, self.source, self.start


class _PieceBytes(msgspec.Struct, array_like=True):
    step_ms: int
    source: int
    start: int
    end: int
    final: bool
    terms: bytes
    facets: bytes


class _Snapshot(msgspec.Struct):
    sources: dict[int, Source]
    expected: int
    watermark_ms: int
    pending: list[_PieceBytes]
    overlays: list[_PieceBytes]


@dataclass(slots=True)
class AlignmentState:
    """Owned by the caller."""

    sources: dict[int, Source] = field(default_factory=dict)
    expected: int = 0  # sources there are in all
    watermark_ms: int = NO_CLOCK_MS
    pending: list[Piece] = field(default_factory=list)
    overlays: dict[int, Piece] = field(default_factory=dict)  # newest provisional rows per source
    forced: int = 0  # segments that went on because too many waited; not part of the snapshot

    @property
    def pending_rows(self) -> int:
        """Rows of the segments that wait."""
        return sum(piece.rows for piece in self.pending)

    def frozen(self) -> FrozenAlignment:
        """The state as it is now, to be made bytes while this one goes on."""
        sources = {source: copy(known) for source, known in sorted(self.sources.items())}
        pending = sorted(self.pending, key=lambda piece: piece.place)
        return FrozenAlignment(
            sources, self.expected, self.watermark_ms, pending, [one for _, one in sorted(self.overlays.items())]
        )

    @classmethod
    def restore(cls, data: bytes) -> AlignmentState:
        """The state of `FrozenAlignment.to_bytes`."""
        kept = msgspec.msgpack.decode(data, type=_Snapshot)
        overlays = {piece.source: _load(piece) for piece in kept.overlays}
        return cls(kept.sources, kept.expected, kept.watermark_ms, [_load(piece) for piece in kept.pending], overlays)


@dataclass(frozen=True, slots=True)
class FrozenAlignment:
    """What waits and where the sources are, at one packet."""

    sources: dict[int, Source]
    expected: int
    watermark_ms: int
    pending: list[Piece]
    overlays: list[Piece]

    def to_bytes(self) -> bytes:
        """Same state, same bytes."""
        pending, overlays = map(_dump, self.pending), map(_dump, self.overlays)
        return msgspec.msgpack.encode(_Snapshot(self.sources, self.expected, self.watermark_ms, list(pending), list(overlays)))


@dataclass(frozen=True, slots=True)
class Aligned:
    """Pieces to apply, in canonical order, and the time that has come by then."""

    pieces: list[Piece]
    watermark_ms: int
    all_idle: bool
    replayed: int = field(default=0)  # segments dropped because they were seen before


def align(state: AlignmentState, packet: Packet, params: AlignmentParams) -> Aligned:
    """Takes the next packet of the partials log. Raises BrokenLog on a gap."""
    state.expected = max(state.expected, packet.sources)
    replayed = (_final if packet.final else _provisional)(state, packet, params)
    state.sources[packet.source].newest_ms = _newest(state)
    _apply_overlay(state, packet.source, params)
    due_ms = max(state.watermark_ms, _watermark(state, params))
    state.watermark_ms = max(due_ms, _forced(state, params))
    ready = sorted((piece for piece in state.pending if piece.step_ms < state.watermark_ms), key=lambda piece: piece.place)
    state.forced += sum(piece.step_ms >= due_ms for piece in ready)
    if ready:
        state.pending = [piece for piece in state.pending if piece.step_ms >= state.watermark_ms]
    return Aligned(ready, state.watermark_ms, _all_idle(state), replayed)


def _final(state: AlignmentState, packet: Packet, params: AlignmentParams) -> int:
    fresh: list[tuple[int, Segment]] = []
    for number, segment in enumerate(packet.segments):
        source = state.sources.setdefault(packet.source, Source(next=segment.start))
        if segment.start < source.next:
            continue
        if segment.start > source.next:
            raise BrokenLog(
                f"source {packet.source}: segment starts at offset {segment.start}, expected {source.next}:"
                " packets in between are missing from the partials topic (retention, or a lossy broker)"
            )
        source.next, source.clock_ms = segment.end, max(source.clock_ms, segment.clock_ms)
        source.idle_ms, source.behind = 0, packet.behind
        source.applied_end = source.told_end = NO_CLOCK_MS
        fresh.append((number, segment))
    if fresh:
        overlay = state.overlays.get(packet.source)
        if overlay is not None and overlay.start < state.sources[packet.source].next:
            del state.overlays[packet.source]
        state.pending = [piece for piece in state.pending if piece.final or piece.source != packet.source]
        state.pending.extend(_pieces(packet, fresh, params))
    return len(packet.segments) - len(fresh)


def _provisional(state: AlignmentState, packet: Packet, params: AlignmentParams) -> int:
    (segment,) = packet.segments
    source = state.sources.setdefault(packet.source, Source(next=segment.start))
    if segment.start != source.next or segment.end < source.told_end:
        return 1  # older than what was said before: whoever has read less cannot know that nothing more is there
    source.idle_ms, source.behind, source.told_end = packet.idle_ms, packet.behind, segment.end
    source.idle_clock_ms = max(segment.clock_ms, source.clock_ms)
    if segment.end == segment.start:
        return 0
    (piece,) = _pieces(packet, [(0, segment)], params)
    state.overlays[packet.source] = piece
    return 0


def _apply_overlay(state: AlignmentState, number: int, params: AlignmentParams) -> None:
    """Time does not wait for a source that does not hold it: its open segment is counted as far as it is known."""
    source, overlay = state.sources[number], state.overlays.get(number)
    if overlay is None or overlay.end <= source.applied_end or _holds(source, params):
        return
    source.applied_end = overlay.end
    state.pending = [one for one in state.pending if one.final or one.source != number]
    state.pending.append(overlay)


def _pieces(packet: Packet, wanted: Iterable[tuple[int, Segment]], params: AlignmentParams) -> list[Piece]:
    terms, facets = (slices_by("segment", rows(packet, params.unpack)) for rows in (term_rows, facet_rows))
    return [
        Piece(
            segment.step_ms,
            packet.source,
            segment.start,
            segment.end,
            packet.final,
            terms.get(number, frames.empty(frames.TERM_ROWS)),
            facets.get(number, frames.empty(frames.FACET_ROWS)),
        )
        for number, segment in wanted
    ]


def dump_piece(piece: Piece) -> bytes:
    """The piece as bytes."""
    return msgspec.msgpack.encode(_dump(piece))


def load_piece(data: bytes) -> Piece:
    """The piece of `dump_piece`."""
    return _load(msgspec.msgpack.decode(data, type=_PieceBytes))


def _dump(piece: Piece) -> _PieceBytes:
    terms, facets = frames.to_bytes(piece.terms), frames.to_bytes(piece.facets)
    return _PieceBytes(piece.step_ms, piece.source, piece.start, piece.end, piece.final, terms, facets)


def _load(kept: _PieceBytes) -> Piece:
    terms, facets = frames.from_bytes(kept.terms), frames.from_bytes(kept.facets)
    return Piece(kept.step_ms, kept.source, kept.start, kept.end, kept.final, terms, facets)


def _forced(state: AlignmentState, params: AlignmentParams) -> int:
    """The time that must have come so that no more waits than may: the newest segments stay."""
    count, rows = len(state.pending), state.pending_rows
    if count <= params.max_pending and rows <= params.max_pending_rows:
        return NO_CLOCK_MS
    forced_ms = NO_CLOCK_MS
    for piece in sorted(state.pending, key=lambda piece: piece.place):
        if count <= params.max_pending and rows <= params.max_pending_rows and piece.step_ms >= forced_ms:
            break
        forced_ms = piece.step_ms + STEP_MS
        count, rows = count - 1, rows - piece.rows
    return forced_ms


def _watermark(state: AlignmentState, params: AlignmentParams) -> int:
    if len(state.sources) < state.expected:
        return NO_CLOCK_MS
    sources = state.sources.values()
    limit = min(_limit(source, params) for source in sources)
    if not any(_holds(source, params) for source in sources):
        limit = min(limit, _newest(state))
    return limit // STEP_MS * STEP_MS


def _holds(source: Source, params: AlignmentParams) -> bool:
    return not source.idle_ms and (source.behind or source.clock_ms >= source.newest_ms - params.stall_ms)


def _limit(source: Source, params: AlignmentParams) -> int:
    """How far time may go as far as this source is concerned."""
    return source.clock_ms if _holds(source, params) else source.newest_ms + params.stall_ms


def _newest(state: AlignmentState) -> int:
    """The newest clock of all sources, idle time included."""
    clocks = [source.clock_ms for source in state.sources.values()]
    idle = [source.idle_clock_ms + source.idle_ms for source in state.sources.values() if _has_idle_clock(source)]
    return max([*clocks, *idle])


def _has_idle_clock(source: Source) -> bool:
    return source.idle_ms > 0 and source.idle_clock_ms != NO_CLOCK_MS


def _all_idle(state: AlignmentState) -> bool:
    return len(state.sources) >= state.expected and all(source.idle_ms for source in state.sources.values())
