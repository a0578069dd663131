"""Detect, one partials partition: packets in, stored windows and surges of single terms out; a pure function of its log.

Packets are aligned (streams.alignment), counted into windows (streams.windows), and every second of the log clock that
had events is one tick of the surge detector (streams.surges), in the same order for ever. Candidate batches are numbered
without gap, so that curate can drop what a replay sends again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import polars as pl

from schemas import frames
from schemas.candidates import CandidateBatch, Surge, Tally
from schemas.errors import BrokenLog
from schemas.packets import Packet
from schemas.windows import WindowBatch
from streams.alignment import Aligned, AlignmentParams, AlignmentState, FrozenAlignment, align
from streams.cells import slices_by
from streams.counted import Counted
from streams.segments import STEP_MS
from streams.surges import FrozenSurges, SurgeParams, SurgeState, detect_surges
from streams.tallies import TallyState, of_brands, tally
from streams.ticks import quiet_ticks
from streams.window_tables import FrozenWindows, restore_tables
from streams.windows import Emitted, Fresh, LeftOut, WindowParams, WindowState, count_fresh, flush_open, sort_out

BATCH_ROWS = 8_192  # of windows in one record: 5 MB if all have full sketches
_SHOWN_PIECES = 500
_NO_ROWS = frames.empty(frames.TERM_ROWS)
_NO_FACETS = frames.empty(frames.FACET_ROWS)


@dataclass(frozen=True, slots=True)
class DetectParams:
    """Everything detect can be told."""

    windows: WindowParams = field(default_factory=WindowParams)
    alignment: AlignmentParams = field(default_factory=AlignmentParams)
    surges: SurgeParams = field(default_factory=SurgeParams)


@dataclass(slots=True)
class DetectState:
    """State of one partials partition, owned by the caller."""

    surges: SurgeState
    alignment: AlignmentState = field(default_factory=AlignmentState)
    windows: WindowState = field(default_factory=WindowState)
    data_tick_ms: int = -1  # last tick with events
    tick_ms: int = -1  # last tick
    told_ms: int = -1  # last tick that curate knows of
    sequence: int = 0  # of the next candidate batch
    tallies: TallyState = field(default_factory=TallyState)

    @classmethod
    def fresh(cls, params: DetectParams) -> DetectState:
        """The state before the first packet."""
        return cls(SurgeState(params.surges))

    def snapshot(self) -> dict[str, bytes]:
        """The state as named sections; a section that did not change keeps its bytes."""
        return self.freeze().sections()

    def freeze(self) -> Frozen:
        """The state as it is now; its sections may be made in another thread while this state goes on."""
        own = {"detect": _meta(self), "tallies": msgspec.msgpack.encode(self.tallies)}
        return Frozen(own, self.surges.freeze(), self.alignment.frozen(), FrozenWindows.of(self.windows))

    @classmethod
    def restore(cls, sections: Mapping[str, bytes], params: DetectParams) -> DetectState:
        """The state of `snapshot`; raises BrokenLog if it is of another format."""
        meta = msgspec.msgpack.decode(sections["detect"], type=_Meta)
        if meta.format != _FORMAT:
            raise BrokenLog(f"checkpoint has format {meta.format}, this version reads {_FORMAT}: see CHANGELOG for the upgrade")
        own = {name.removeprefix("surges/"): data for name, data in sections.items() if name.startswith("surges/")}
        alignment = AlignmentState.restore(sections["alignment"])
        windows = _restore_windows(sections, meta)
        surges = SurgeState.restore(own, params.surges)
        tallies = TallyState()
        if "tallies" in sections:  # a checkpoint of before there were any has none
            tallies = msgspec.msgpack.decode(sections["tallies"], type=TallyState)
        return cls(surges, alignment, windows, meta.data_tick_ms, meta.tick_ms, meta.told_ms, meta.sequence, tallies)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A state at one packet, as long as it is not bytes: what changes in place is copied, tables never change."""

    own: dict[str, bytes]
    surges: FrozenSurges
    alignment: FrozenAlignment
    windows: FrozenWindows

    def sections(self) -> dict[str, bytes]:
        """The state as named sections; a function of the packets so far."""
        surges = {f"surges/{name}": data for name, data in self.surges.sections().items()}
        return {**self.own, **surges, "alignment": self.alignment.to_bytes(), **self.windows.sections()}


@dataclass(frozen=True, slots=True)
class Halfway:
    """What one packet has to say at once; its windows are still to be counted."""

    candidates: list[CandidateBatch]
    aligned: Aligned
    fresh: Fresh | None  # None: it brings and closes nothing


@dataclass(frozen=True, slots=True)
class Detected:
    """What one packet brought about."""

    windows: list[WindowBatch]
    candidates: list[CandidateBatch]
    late_events: int
    expired_events: int
    replayed_segments: int


def detect(state: DetectState, packet: Packet, offset: int, params: DetectParams) -> Detected:
    """Applies the packet at `offset` of the partials log. Raises BrokenLog on a gap."""
    return count_windows(state, find_surges(state, packet, params), offset, params)


def find_surges(state: DetectState, packet: Packet, params: DetectParams) -> Halfway:
    """The first half of `detect`: whoever waits for an alert need not wait for windows. The second half has to follow."""
    before_ms = state.alignment.watermark_ms
    aligned = align(state.alignment, packet, params.alignment)
    if not aligned.pieces and aligned.watermark_ms <= before_ms:
        return Halfway([], aligned, None)
    fresh = sort_out(state.windows, aligned.pieces, params.windows)
    return Halfway(_tick(state, fresh, aligned.watermark_ms, params), aligned, fresh)


def count_windows(state: DetectState, halfway: Halfway, offset: int, params: DetectParams) -> Detected:
    """The second half, of the packet at this offset."""
    emitted, aligned = [], halfway.aligned
    if halfway.fresh is not None:
        emitted.append(count_fresh(state.windows, halfway.fresh, aligned.watermark_ms, offset + 1, params.windows))
    if aligned.all_idle and state.windows.dirty:
        emitted.append(flush_open(state.windows, offset + 1, params.windows))
    batches = [batch for one in emitted for batch in _batches(one, params)]
    late, expired = sum(one.late_events for one in emitted), sum(one.expired_events for one in emitted)
    return Detected(batches, halfway.candidates, late, expired, aligned.replayed)


def held(state: DetectState) -> dict[str, int]:
    """How much of what has a bound is held; see agents.bounds."""
    alignment, windows, surges = state.alignment, state.windows, state.surges
    provisional = [*alignment.overlays.values(), *windows.applied.values()]
    watched = sum(track.watched for track in surges.tracks.values())
    return {
        "detect_pending_segments": len(alignment.pending),
        "detect_pending_rows": alignment.pending_rows,
        "detect_provisional_rows": max((piece.rows for piece in provisional), default=0),
        "detect_open_rows": windows.open_rows,
        "detect_sent_rows": windows.sent_rows,
        "detect_retained_rows": windows.retained_rows,
        "detect_terms": len(surges.table),
        "detect_hashed_cells": int(np.count_nonzero(surges.table.cells["seen_ms"])),
        "detect_tracks": len(surges.tracks) - watched,
        "detect_watched_tracks": watched,
    }


def open_counts(state: DetectState) -> dict[str, int]:
    """Events of watched terms in windows that are still open, with what the sources' open segments hold: provisional.

    While much waits for a source that is behind, what waits is left out: nobody looks at the present of a replay.
    """
    parts = [part for parts in state.windows.open_terms.values() for part in parts]
    overlays = [piece for source, piece in state.alignment.overlays.items() if source not in state.windows.applied]
    waiting = [piece for piece in state.alignment.pending if piece.final] + overlays
    parts += [piece.terms for piece in waiting] if len(waiting) <= _SHOWN_PIECES else []
    if not parts:
        return {}
    rows = pl.concat([part.select("term", "events") for part in parts]).filter(frames.is_watched(pl.col("term")))
    return dict(rows.group_by("term").agg(pl.col("events").sum()).sort("term").iter_rows())


def _tick(state: DetectState, fresh: Fresh, watermark_ms: int, params: DetectParams) -> list[CandidateBatch]:
    """Shows every second with events to the detector, and the quiet ticks between; the last tick is always told to curate."""
    batches = []
    counted, ends = Counted.of(fresh.on_time.drop("step_ms")), _ends(fresh.on_time["step_ms"])
    brands, facets = (slices_by("step_ms", of_brands(table)) for table in (fresh.on_time, fresh.on_time_facets))
    for (step_ms, end), start in zip(ends.items(), [0, *ends.values()], strict=False):
        tick_ms = step_ms + STEP_MS
        batches += _quiet(state, tick_ms - 1, params)
        tallies = tally(state.tallies, tick_ms, brands.get(step_ms, _NO_ROWS), facets.get(step_ms, _NO_FACETS))
        batches += _one_tick(state, tick_ms, counted.part(start, end), params, tallies)
        state.data_tick_ms = tick_ms
    batches += _quiet(state, watermark_ms, params)
    if state.tick_ms > state.told_ms:
        batches.append(_candidates(state, state.tick_ms, [], params))
    return batches


def _ends(steps_ms: pl.Series) -> dict[int, int]:
    """Where each second ends; they ascend."""
    values = steps_ms.to_numpy()
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size else np.zeros(0, np.int64)
    return dict(zip(values[last].tolist(), (last + 1).tolist(), strict=True))


def _quiet(state: DetectState, until_ms: int, params: DetectParams) -> list[CandidateBatch]:
    """Quiet ticks are for open surges to fade; without any there is nothing to look at."""
    batches: list[CandidateBatch] = []
    for tick_ms in quiet_ticks(state.data_tick_ms, state.tick_ms, until_ms) if state.data_tick_ms >= 0 else ():
        if not state.surges.surging:
            break
        batches += _one_tick(state, tick_ms, _NO_ROWS, params)
    return batches


def _one_tick(
    state: DetectState, tick_ms: int, rows: pl.DataFrame | Counted, params: DetectParams, tallies: tuple[Tally, ...] = ()
) -> list[CandidateBatch]:
    state.tick_ms = max(state.tick_ms, tick_ms)  # a source that was given up on may come back behind the others
    surges = detect_surges(state.surges, state.tick_ms, rows, params.surges)
    return [_candidates(state, state.tick_ms, surges, params, tallies)] if surges or tallies else []


def _candidates(
    state: DetectState, tick_ms: int, surges: list[Surge], params: DetectParams, tallies: tuple[Tally, ...] = ()
) -> CandidateBatch:
    batch = CandidateBatch(
        partition=params.windows.partition,
        partitions=params.windows.partitions,
        sequence=state.sequence,
        tick_ms=tick_ms,
        surges=tuple(surges),
        tallies=tallies,
    )
    state.sequence, state.told_ms = state.sequence + 1, tick_ms
    return batch


def _batches(emitted: Emitted, params: DetectParams) -> list[WindowBatch]:
    """The rows in records of BATCH_ROWS: a replay closes hours of windows at once, and a record has to fit through the broker."""

    def packed(frame: pl.DataFrame, start: int) -> bytes:
        part = frame.slice(start, BATCH_ROWS)
        return frames.to_bytes(part) if part.height else b""

    tables = emitted.rows, emitted.facets, emitted.totals
    return [
        WindowBatch(
            partition=params.windows.partition,
            rows=packed(emitted.rows, start),
            facets=packed(emitted.facets, start),
            totals=packed(emitted.totals, start),
        )
        for start in range(0, max(table.height for table in tables), BATCH_ROWS)
    ]


_FORMAT = 2


class _Meta(msgspec.Struct):
    format: int
    data_tick_ms: int
    tick_ms: int
    told_ms: int
    sequence: int
    watermark_ms: int
    dirty: list[int]
    left_out: dict[int, LeftOut]
    early_ms: int = -1
    forgotten_ms: int = -1
    sent_totals: list[int] = []


def _meta(state: DetectState) -> bytes:
    windows = state.windows
    left_out = {start: window.left_out for start, window in sorted(windows.retained.items())}
    meta = _Meta(
        _FORMAT,
        state.data_tick_ms,
        state.tick_ms,
        state.told_ms,
        state.sequence,
        windows.watermark_ms,
        sorted(windows.dirty),
        left_out,
        windows.early_ms,
        windows.forgotten_ms,
        sorted(windows.sent_totals),
    )
    return msgspec.msgpack.encode(meta)


def _restore_windows(sections: Mapping[str, bytes], meta: _Meta) -> WindowState:
    state = restore_tables(sections, meta.left_out)
    state.dirty, state.sent_totals = set(meta.dirty), set(meta.sent_totals)
    state.watermark_ms, state.early_ms, state.forgotten_ms = meta.watermark_ms, meta.early_ms, meta.forgotten_ms
    return state
