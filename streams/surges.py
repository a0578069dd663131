"""Terms that rise faster than their own past says they should: each surge opens once, grows, and fades once.

The surges of a call depend on the calls before it only: not on the order of rows, nor on how the state was stored in between.
State is bounded by `max_terms`, `hashed_cells`, `max_tracks` and the watchlist. A call takes time for the terms it touches and the
open surges, not for the time that passed since the last one. A tick may open a surge in the middle of a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from schemas.candidates import Surge
from streams.baseline import Ints
from streams.surge_life import Verdict, follow, judge, open_surge
from streams.surge_params import SurgeParams
from streams.term_table import TOTAL, Hashes, TermTable
from streams.tracks import WATCHED_PREFIX, Track, compact, record

__all__ = ["SurgeParams", "SurgeState", "detect_surges"]

_KINDS = ("brand:", "hashtag:", "mention:", "domain:", "keyword:")

_SWEEP_MS = 60_000
_FORGET_WARM_MS = 600_000
_FORGET_WATCHED_MS = 7 * 86_400_000

_SHARDS = 64  # of the tracks in a snapshot, so that those of quiet brands keep their bytes
_FORMAT = 1


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
        self.ready_ms = 0  # log time from which surges may open

    def snapshot(self) -> dict[str, bytes]:
        """The state in named sections; a section that did not change keeps its bytes."""
        table = self.table
        meta = _Meta(_FORMAT, len(table.cells), table.now_ms, table.exposure, self.ready_ms)
        shards: dict[int, list[tuple[int, Track]]] = {}
        for key in sorted(self.tracks):
            shards.setdefault(key % _SHARDS, []).append((key, self.tracks[key]))
        tracks = {f"tracks/{shard:02d}": msgspec.msgpack.encode(items) for shard, items in shards.items()}
        return {"meta": msgspec.msgpack.encode(meta), **table.snapshot(), **tracks}

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
        state.table.pinned = set(state.tracks)
        return state


@dataclass(frozen=True, slots=True)
class _Counted:
    """The rows of terms that can surge, as columns."""

    rows: Ints  # which rows of the frame they are
    hashes: Hashes
    watched: NDArray[np.bool_]
    windows: Ints
    events: Ints


def detect_surges(state: SurgeState, tick_ms: int, rows: pl.DataFrame, params: SurgeParams) -> list[Surge]:
    """Surges that opened, grew materially or faded by this tick of the log clock, sorted by term.

    `rows` are frames.TERM_ROWS: what was counted since the last tick, by event-time window; negative where a delete took it back.
    """
    _advance(state, tick_ms, params)
    counted = _counted(rows)
    surging = _keys(key for key, track in state.tracks.items() if track.surge is not None)
    keys, slots = _count(state.table, counted, surging)
    verdict = judge(state.table, slots, params)
    _track(state, rows, counted, _wanted(state, counted, keys, verdict, params))

    said: list[Surge] = []
    for i in np.flatnonzero(np.isin(keys, surging)).tolist():
        said += follow(state.tracks[int(keys[i])], verdict.of(i), state.table, params)
    if tick_ms >= state.ready_ms:
        for i in np.flatnonzero(verdict.candidates(params)).tolist():
            said += open_surge(state.tracks.get(int(keys[i])), verdict.of(i), state.table, params)
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
        compact(track, tick_ms)
        keep_ms = _FORGET_WATCHED_MS if track.watched else max(_FORGET_WARM_MS, params.cooldown_ms)
        if track.surge is None and tick_ms - max(track.warm_ms, track.faded_ms or 0) > keep_ms:
            del state.tracks[key]
            state.table.pinned.discard(key)


def _keys(keys: Iterable[int]) -> Hashes:
    return np.fromiter(keys, np.uint64)


def _counted(rows: pl.DataFrame) -> _Counted:
    terms = rows["term"].to_list()
    chosen = [i for i, term in enumerate(terms) if term.startswith(_KINDS)]
    # 0 marks a free slot, so no term has it.
    hashes = np.array([xxh3_64_intdigest(terms[i].encode()) or 1 for i in chosen], np.uint64)
    watched = np.array([terms[i].startswith(WATCHED_PREFIX) for i in chosen], bool)
    at = np.array(chosen, np.int64)
    return _Counted(at, hashes, watched, rows["window_start_ms"].to_numpy()[at], rows["events"].to_numpy()[at])


def _count(table: TermTable, counted: _Counted, surging: Hashes) -> tuple[Hashes, Ints]:
    """Add the events to their terms and to the total of all; the terms with news and those with an open surge, and their slots."""
    hashes, inverse = np.unique(counted.hashes, return_inverse=True)
    slots = table.find(hashes)
    silent = surging[~np.isin(surging, hashes)]
    keys = np.concatenate([hashes[slots >= 0], silent])
    judged = np.concatenate([slots[slots >= 0], table.slots_of(silent)])
    table.settle(np.append(judged, TOTAL))
    row_slots = slots[inverse]
    known = row_slots >= 0
    table.add(row_slots[known], counted.windows[known], counted.events[known])
    table.add(np.full(len(row_slots), TOTAL), counted.windows, counted.events)
    order = np.argsort(keys)
    return keys[order], judged[order]


def _wanted(state: SurgeState, counted: _Counted, keys: Hashes, verdict: Verdict, params: SurgeParams) -> dict[int, bool]:
    """Terms whose rows are to be written down, and whether they have reason to be: watched, warm, or with a track from before.

    Of terms nobody watches, the most surprising while there is room.
    """
    best = verdict.score.max(axis=1, initial=0.0)
    watched = np.isin(keys, counted.hashes[counted.watched])
    reason = watched | ((best >= params.warm_score) & (verdict.observed[:, -1] >= params.warm_events))
    certain = watched | np.isin(keys, _keys(state.tracks))
    others = np.flatnonzero(reason & ~certain)
    room = max(params.max_tracks - len(state.tracks), 0)
    chosen = np.concatenate([np.flatnonzero(certain), others[np.lexsort((keys[others], -best[others]))][:room]])
    return {int(keys[i]): bool(reason[i]) for i in chosen}


def _track(state: SurgeState, rows: pl.DataFrame, counted: _Counted, wanted: Mapping[int, bool]) -> None:
    """Write the rows of these terms into their tracks."""
    assert state.table.now_ms is not None
    chosen = np.flatnonzero(np.isin(counted.hashes, _keys(wanted)))
    if not len(chosen):
        return
    for key, row in zip(counted.hashes[chosen].tolist(), rows[counted.rows[chosen]].iter_rows(named=True), strict=True):
        if key not in state.tracks:
            state.tracks[key] = Track(term=row["term"], watched=row["term"].startswith(WATCHED_PREFIX), warm_ms=state.table.now_ms)
            state.table.pinned.add(key)
        if wanted[key]:
            state.tracks[key].warm_ms = state.table.now_ms
        record(state.tracks[key], row)
