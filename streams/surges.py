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

from schemas.candidates import Surge
from streams.counted import Counted
from streams.surge_life import follow, open_surge
from streams.surge_params import SurgeParams
from streams.term_table import Hashes, TermTable
from streams.tracks import MANY_CHUNKS, WATCHED_PREFIX, Track, compact, frozen, record
from streams.verdict import MAY_OPEN, MAY_OPEN_WATCHED, URGENT, Limits, News, Touched, Verdict, chosen, count

__all__ = ["SurgeParams", "SurgeState", "detect_surges"]

_SWEEP_MS = 60_000
_FORGET_WARM_MS = 600_000
_FORGET_WATCHED_MS = 7 * 86_400_000

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
        self._limits = params, Limits.of(params)

    def limits(self, params: SurgeParams) -> Limits:
        """The parameters as compiled functions take them."""
        if params is not self._limits[0]:
            self._limits = params, Limits.of(params)
        return self._limits[1]

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


def detect_surges(state: SurgeState, tick_ms: int, rows: pl.DataFrame | Counted, params: SurgeParams) -> list[Surge]:
    """Surges that opened, grew materially or faded by this tick of the log clock, sorted by term.

    `rows` are frames.TERM_ROWS: what was counted since the last tick, by event-time window; negative where a delete took it back.
    """
    counted = Counted.of(rows) if isinstance(rows, pl.DataFrame) else rows
    _advance(state, tick_ms, params)
    table = state.table
    news = News(table.find(counted.hashes), counted.watched, counted.windows, counted.events)
    touched, verdict = count(table, news, table.slots_of(state.surging), state.limits(params))
    _track(state, counted, touched, verdict, params)

    said: list[Surge] = []
    if state.surging:
        for i, key in enumerate(verdict.keys.tolist()):
            if key in state.surging:
                said += follow(state.tracks[key], verdict.of(i), table, params)
    if verdict.may_open and tick_ms >= state.ready_ms:
        for i in np.flatnonzero(verdict.flags & (MAY_OPEN | MAY_OPEN_WATCHED)).tolist():
            track = state.tracks.get(int(verdict.keys[i]))
            if track is not None and (track.watched or verdict.flags[i] & MAY_OPEN):
                said += open_surge(track, verdict.of(i), table, params)
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


def _choose(state: SurgeState, touched: Touched, verdict: Verdict, params: SurgeParams) -> None:
    """Of terms nobody watches the most surprising are to be written down while there is room; for those that may soon open a surge
    room is made.
    """
    others = touched.others
    room = max(params.max_tracks - len(state.tracks), 0)
    urgent = (verdict.flags[others] & URGENT) != 0
    needed = int(np.count_nonzero(urgent)) - room
    if needed > 0:
        room += _make_room(state, needed, state.table.slots["hash"][touched.slots], params)
    best = others[np.lexsort((verdict.keys[others], -verdict.score[others].max(axis=1), ~urgent))][:room]
    touched.certain[verdict.places[best]] = True
    state.untracked += len(others) - len(best)


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


def _track(state: SurgeState, counted: Counted, touched: Touched, verdict: Verdict, params: SurgeParams) -> None:
    """Write the rows of the wanted terms into their tracks."""
    now_ms = state.table.now_ms
    assert now_ms is not None
    if touched.others.size:
        _choose(state, touched, verdict, params)
    at, reasons = chosen(touched, counted.hashes, counted.windows)
    for key, row, is_reason in zip(counted.hashes[at].tolist(), counted.read(at), reasons.tolist(), strict=True):
        track = state.tracks.get(key)
        if track is None:
            if len(state.tracks) >= params.max_tracks + params.max_watched:
                state.untracked += 1
                continue
            track = Track(term=row.term, watched=row.term.startswith(WATCHED_PREFIX), warm_ms=now_ms)
            state.tracks[key] = track
            state.table.pin(key, True)
        if is_reason:
            track.warm_ms = now_ms
        record(track, row)
