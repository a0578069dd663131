"""Terms that rise faster than their own past says they should: each surge opens once, grows, and fades once.

The surges of a call depend on the calls before it only: not on the order of rows, nor on how the state was stored in between.
State is bounded by `max_terms`, `hashed_cells`, `max_tracks` and the watchlist. A call takes time for the terms it touches and the
open surges, not for the time that passed since the last one. A tick may open a surge in the middle of a window.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from schemas.candidates import Surge
from streams.baseline import Ints
from streams.surge_life import follow, open_surge
from streams.surge_params import SurgeParams
from streams.term_table import Hashes, TermTable
from streams.tracks import MANY_CHUNKS, WATCHED_PREFIX, Track, compact, frozen, read_rows, record
from streams.verdict import MAY_OPEN, MAY_OPEN_WATCHED, URGENT, WARM, Verdict, judge

__all__ = ["SurgeParams", "SurgeState", "detect_surges"]

_OF_ALL = "all:"  # no term can surge against itself

_BYTES = pl.col("term").cast(pl.Binary).alias("bytes")
_WATCHED = pl.col("term").str.starts_with(WATCHED_PREFIX).alias("watched")
_COUNTED = (~pl.col("term").str.starts_with(_OF_ALL)).alias("counted")

_SWEEP_MS = 60_000
_FORGET_WARM_MS = 600_000
_FORGET_WATCHED_MS = 7 * 86_400_000

_FEW = 200  # rows up to which a loop in Python is faster than the first column operation

_SHARDS = 64  # of the tracks in a snapshot, so that those of quiet brands keep their bytes
_FORMAT = 2


class _Meta(msgspec.Struct, frozen=True):
    format: int
    cells: int
    now_ms: int | None
    exposure: list[float]
    ready_ms: int


class SurgeState:
    """The past of all terms and the surges that are open; changed by `detect_surges` only."""

    def __init__(self, params: SurgeParams) -> None:
        self.table = TermTable(params.max_terms, params.hashed_cells, params.baseline)
        self.tracks: dict[int, Track] = {}  # by term hash
        self.surging: set[int] = set()  # hashes of the terms whose surge is open
        self.ready_ms = 0  # log time from which surges may open
        self.untracked = 0  # times that a term had reason to be tracked and there was no room; not part of a snapshot

    def snapshot(self) -> dict[str, bytes]:
        """The state in named sections; a section that did not change keeps its bytes."""
        return self.freeze().sections()

    def freeze(self) -> FrozenSurges:
        """The state as it is now; its sections may be made in another thread while this state goes on."""
        table = self.table
        meta = _Meta(_FORMAT, len(table.cells), table.now_ms, table.exposure, self.ready_ms)
        tracks = [(key, frozen(track)) for key, track in self.tracks.items()]
        return FrozenSurges({"meta": msgspec.msgpack.encode(meta), **table.snapshot()}, tracks)

    @classmethod
    def restore(cls, sections: Mapping[str, bytes], params: SurgeParams) -> SurgeState:
        """The state of `snapshot`; raises ValueError if it was written by another format or with other hashed_cells."""
        meta = msgspec.msgpack.decode(sections["meta"], type=_Meta)
        if (meta.format, meta.cells) != (_FORMAT, params.hashed_cells):
            found, expected = f"{meta.format} with {meta.cells}", f"{_FORMAT} with {params.hashed_cells}"
            raise ValueError(f"surge state is of format {found} hashed cells, expected {expected}")
        state = cls(params)
        state.table.restore(sections)
        state.table.now_ms, state.table.exposure, state.ready_ms = meta.now_ms, meta.exposure, meta.ready_ms
        for name, data in sections.items():
            if name.startswith("tracks/"):
                state.tracks.update(msgspec.msgpack.decode(data, type=list[tuple[int, Track]]))
        for key, track in state.tracks.items():
            track.chunks.sort(key=attrgetter("start_ms"))  # checkpoints of before kept them as they came
            state.table.pin(key, True)
            if track.surge is not None:
                state.surging.add(key)
        return state


@dataclass(frozen=True, slots=True)
class FrozenSurges:
    """A state at one tick, its tracks still as values."""

    table: dict[str, bytes]
    tracks: list[tuple[int, Track]]

    def sections(self) -> dict[str, bytes]:
        """The state in named sections."""
        shards: dict[int, list[tuple[int, Track]]] = {}
        for key, track in sorted(self.tracks, key=itemgetter(0)):
            shards.setdefault(key % _SHARDS, []).append((key, track))
        return {**self.table, **{f"tracks/{shard:02d}": msgspec.msgpack.encode(items) for shard, items in shards.items()}}


@dataclass(frozen=True, slots=True)
class _Counted:
    """The rows of terms that can surge, as columns."""

    rows: Ints  # which rows of the frame they are
    hashes: Hashes
    watched: NDArray[np.bool_]
    windows: Ints
    events: Ints


@dataclass(frozen=True, slots=True)
class _Touched:
    """The total of all and the distinct terms with news or an open surge."""

    slots: Ints
    rows: Ints  # of the counted rows, those whose term has a slot ...
    places: Ints  # ... and where among the slots
    surging: Ints  # places of the terms with an open surge


def detect_surges(state: SurgeState, tick_ms: int, rows: pl.DataFrame, params: SurgeParams) -> list[Surge]:
    """Surges that opened, grew materially or faded by this tick of the log clock, sorted by term.

    `rows` are frames.TERM_ROWS: what was counted since the last tick, by event-time window; negative where a delete took it back.
    """
    _advance(state, tick_ms, params)
    counted = _counted(rows)
    touched = _count(state, counted)
    verdict = judge(state.table, touched.slots, touched.surging, params)
    _track(state, rows, counted, touched, verdict, params)

    said: list[Surge] = []
    judged = verdict.keys.tolist()
    if state.surging:
        for i, key in enumerate(judged):
            if key in state.surging:
                said += follow(state.tracks[key], verdict.of(i), state.table, params)
    if tick_ms >= state.ready_ms:
        for i in np.flatnonzero(verdict.flags & (MAY_OPEN | MAY_OPEN_WATCHED)).tolist():
            track = state.tracks.get(judged[i])
            if track is not None and (track.watched or verdict.flags[i] & MAY_OPEN):
                said += open_surge(track, verdict.of(i), state.table, params)
    if said:
        state.surging = {key for key, track in state.tracks.items() if track.surge is not None}
    return sorted(said, key=lambda surge: surge.term)


def _advance(state: SurgeState, tick_ms: int, params: SurgeParams) -> None:
    last_ms = state.table.now_ms
    if last_ms is not None and tick_ms < last_ms:
        raise ValueError(f"the log clock must not go back: tick {tick_ms} after {last_ms}")
    hole = last_ms is not None and tick_ms - last_ms > params.gap_ms
    if last_ms is None:
        state.ready_ms = tick_ms + params.warmup_ms
    elif hole:
        state.ready_ms = tick_ms + max(params.rewarm_ms, min(state.ready_ms - last_ms, params.warmup_ms))
    state.table.advance(tick_ms, not hole)
    if last_ms is None or tick_ms // _SWEEP_MS != last_ms // _SWEEP_MS:
        _sweep(state, tick_ms, params)


def _sweep(state: SurgeState, tick_ms: int, params: SurgeParams) -> None:
    for key, track in list(state.tracks.items()):
        if len(track.chunks) >= MANY_CHUNKS:
            compact(track, tick_ms)
        keep_ms = _FORGET_WATCHED_MS if track.watched else _FORGET_WARM_MS
        if track.surge is None and tick_ms - track.warm_ms > keep_ms and not _rests(track, tick_ms, params):
            del state.tracks[key]
            state.table.pin(key, False)


def _counted(rows: pl.DataFrame) -> _Counted:
    terms = rows["term"]
    if len(terms) < _FEW:
        names = terms.to_list()
        # 0 marks a free slot, so no term has it.
        hashes = np.array([xxh3_64_intdigest(name.encode()) or 1 for name in names], np.uint64)
        watched = np.array([name.startswith(WATCHED_PREFIX) for name in names], np.bool_)
        at = np.array([i for i, name in enumerate(names) if not name.startswith(_OF_ALL)], np.int64)
    else:
        columns = rows.select(_BYTES, _WATCHED, _COUNTED)
        hashes = np.fromiter(map(xxh3_64_intdigest, columns["bytes"].to_list()), np.uint64, len(terms))
        hashes[hashes == 0] = 1
        watched, at = columns["watched"].to_numpy(), np.flatnonzero(columns["counted"].to_numpy())
    windows, events = rows["window_start_ms"].to_numpy(writable=True), rows["events"].to_numpy(writable=True)
    if len(at) == len(terms):
        return _Counted(at, hashes, watched, windows, events)
    return _Counted(at, hashes[at], watched[at], windows[at], events[at])


def _count(state: SurgeState, counted: _Counted) -> _Touched:
    """Add the events to their terms and to the total of all."""
    table = state.table
    slots = table.find(counted.hashes)
    touched, places = table.touch(slots, counted.windows, counted.events, table.slots_of(state.surging))
    rows = np.flatnonzero(slots >= 0)
    return _Touched(touched, rows, places[rows], places[len(slots) :])


def _wanted(
    state: SurgeState, counted: _Counted, touched: _Touched, verdict: Verdict, params: SurgeParams
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of the touched terms, those whose rows are to be written down, and those with reason to be: watched or warm.

    Terms with a track from before keep it; of others nobody watches, the most surprising while there is room. For those that may
    soon open a surge room is made.
    """
    warm = (verdict.flags & WARM) != 0
    certain = np.zeros(len(touched.slots), np.bool_)
    certain[touched.places[counted.watched[touched.rows]]] = True
    reason = certain.copy()
    reason[verdict.places[warm]] = True
    certain |= state.table.pinned(touched.slots)
    others = np.flatnonzero(warm & ~certain[verdict.places])
    if not others.size:
        return certain, reason
    room = max(params.max_tracks - len(state.tracks), 0)
    urgent = (verdict.flags[others] & URGENT) != 0
    needed = int(np.count_nonzero(urgent)) - room
    if needed > 0:
        room += _make_room(state, needed, state.table.slots["hash"][touched.slots], params)
    chosen = others[np.lexsort((verdict.keys[others], -verdict.score[others].max(axis=1), ~urgent))][:room]
    certain[verdict.places[chosen]] = True
    state.untracked += len(others) - len(chosen)
    return certain, reason


def _make_room(state: SurgeState, needed: int, touched: Hashes, params: SurgeParams) -> int:
    """Drop up to so many tracks that nobody watches, the longest cold first; none with an open surge, a rest, or news."""
    now_ms = state.table.now_ms
    assert now_ms is not None
    idle = [
        (track.warm_ms, key)
        for key, track in state.tracks.items()
        if not track.watched and track.surge is None and not _rests(track, now_ms, params)
    ]
    busy = np.isin(np.array([key for _, key in idle], dtype=np.uint64), touched)
    dropped = heapq.nsmallest(needed, (one for one, is_busy in zip(idle, busy.tolist(), strict=True) if not is_busy))
    for _, key in dropped:
        del state.tracks[key]
        state.table.pin(key, False)
    state.untracked += len(dropped)
    return len(dropped)


def _rests(track: Track, now_ms: int, params: SurgeParams) -> bool:
    return track.faded_ms is not None and now_ms - track.faded_ms <= params.rest_ms(track.last_scale)


def _track(
    state: SurgeState, rows: pl.DataFrame, counted: _Counted, touched: _Touched, verdict: Verdict, params: SurgeParams
) -> None:
    """Write the rows of the wanted terms into their tracks."""
    assert state.table.now_ms is not None
    wanted, reason = _wanted(state, counted, touched, verdict, params)
    chosen = np.flatnonzero(wanted[touched.places])
    of_chosen = touched.rows[chosen]
    order = np.lexsort((counted.hashes[of_chosen], counted.windows[of_chosen]))  # not the order of the rows
    places = touched.places[chosen[order]]
    at = of_chosen[order]
    for key, row, is_reason in zip(
        counted.hashes[at].tolist(), read_rows(rows, counted.rows[at]), reason[places].tolist(), strict=True
    ):
        track = state.tracks.get(key)
        if track is None:
            if len(state.tracks) >= params.max_tracks + params.max_watched:
                state.untracked += 1
                continue
            track = Track(term=row.term, watched=row.term.startswith(WATCHED_PREFIX), warm_ms=state.table.now_ms)
            state.tracks[key] = track
            state.table.pin(key, True)
        if is_reason:
            track.warm_ms = state.table.now_ms
        record(track, row)
