"""Deduplication: an event is a duplicate if its id was seen before within the horizon of log time; the latest sight counts.

Memory is 12 bytes per remembered id (8-byte hash, 4-byte second of the log clock) in a few sorted runs, merged as they
grow so that looking up n ids costs O(n log m) array operations. Bounded by the horizon: a run whose ids are all older is
dropped whole, older ids of other runs when it is merged. Two ids share a hash once in 2^64 pairs (source: xxh3_64).

Bounded by `max_ids` too, for a horizon of hours or a log clock that stands: at the start of every segment the seconds before the
latest `max_ids` distinct ids are forgotten. How many ids were seen since a second is a function of the log, so all workers forget
the same ids at the same record. Only while it is nearly that full are ids counted by second, and batches taken segment by segment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Ids = npt.NDArray[np.uint64]
Steps = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_MANY = 200_000
_FEW_RUNS = 8
_NEVER = -(2**62)
_HEADROOM = 40_000  # ids that one batch may bring: two segments and what is read at a time


@dataclass(frozen=True, slots=True)
class DedupParams:
    """How long an id is remembered, in log time."""

    horizon_ms: int = 900_000
    max_ids: int = 20_000_000  # 240 MB of one raw partition; 22,000 posts a second for 15 minutes

    def __post_init__(self) -> None:
        if self.horizon_ms < 1_000:
            raise ValueError("horizon_ms must be 1000 or more: log time is kept in seconds")
        if self.max_ids < 1:
            raise ValueError("max_ids must be 1 or more")

    @property
    def horizon_s(self) -> int:
        """The horizon in whole seconds of the log clock."""
        return self.horizon_ms // 1_000

    @property
    def max_held(self) -> int:
        """Entries in all runs at most: an id seen again is in two of them until they are merged."""
        return self.max_ids + self.max_ids // 4 + _HEADROOM


@dataclass(frozen=True, slots=True)
class Run:
    """Distinct ids, ascending, and the second of the log clock of each one's latest sight."""

    ids: Ids
    steps: Steps


@dataclass(slots=True)
class Seen:
    """Ids remembered of one raw partition, owned by the caller. Runs grow from back to front."""

    runs: list[Run] = field(default_factory=list)
    counts: dict[int, int] | None = None  # distinct ids by second of their latest sight; only while there are nearly max_ids
    floor: int = _NEVER  # second up to which all is forgotten, because of max_ids; later than now if the present one holds too many
    forgotten: int = 0  # ids, because of max_ids and not of the horizon

    def __len__(self) -> int:
        return sum(run.ids.size for run in self.runs)

    @property
    def distinct(self) -> int:
        """Ids remembered; as long as they are few, those in two runs twice."""
        return len(self) if self.counts is None else sum(self.counts.values())

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return sum(run.ids.nbytes + run.steps.nbytes for run in self.runs)


def find_duplicates(seen: Seen, ids: Ids, steps: Steps, params: DedupParams, segments: Steps | None = None) -> Flags:
    """Which of these sights, given in log order, repeat an id within the horizon. Does not change `seen`.

    `segments`: number of the segment of each; without, they are of one.
    """
    order = np.argsort(ids, kind="stable")
    sorted_ids, sorted_steps = ids[order], steps[order].astype(np.int64)
    before = _latest(seen, sorted_ids)
    repeat = np.flatnonzero(sorted_ids[1:] == sorted_ids[:-1]) + 1
    before[repeat] = sorted_steps[repeat - 1]
    known = sorted_steps - before <= params.horizon_s
    if seen.counts is not None or ids.size > params.max_ids:
        of = (np.zeros(ids.size, dtype=np.uint32) if segments is None else segments)[order]
        again = repeat[of[repeat] == of[repeat - 1]]
        known &= before >= _floors(seen, before, sorted_steps, of, again, params)
    flags = np.empty(ids.size, dtype=np.bool_)
    flags[order] = known
    return flags


def remember(seen: Seen, run: Run, params: DedupParams) -> None:
    """Adds the sights of a run; forgets what the horizon has left behind."""
    if not run.ids.size:
        return
    newest = int(run.steps.max())
    oldest = newest - params.horizon_s
    if seen.counts is not None:
        _move(seen.counts, _latest(seen, run.ids), run.steps)
    seen.runs = [old for old in seen.runs if int(old.steps.max()) >= oldest]
    seen.runs.append(run)
    while len(seen.runs) > 1 and seen.runs[-2].ids.size < 2 * seen.runs[-1].ids.size:
        newer, older = seen.runs.pop(), seen.runs.pop()
        merged = latest_sights(np.concatenate((newer.ids, older.ids)), np.concatenate((newer.steps, older.steps)))
        alive = merged.steps >= max(oldest, 0)
        seen.runs.append(merged if alive.all() else Run(merged.ids[alive], merged.steps[alive]))
    if seen.counts is not None or len(seen) > params.max_ids - _HEADROOM:
        _crowd(seen, newest, params)


def latest_sights(ids: Ids, steps: Steps) -> Run:
    """Each distinct id with its latest second, in ascending order of ids."""
    if not ids.size:
        return Run(ids, steps)
    sorted_ids, sorted_steps = _by_id(ids, steps)
    first = np.append(0, np.flatnonzero(sorted_ids[1:] != sorted_ids[:-1]) + 1)
    return Run(sorted_ids[first], np.maximum.reduceat(sorted_steps, first))


def _by_id(ids: Ids, steps: Steps) -> tuple[Ids, Steps]:
    """Both in ascending order of ids. A stable sort merges a few sorted runs; millions in no order polars sorts on all cores."""
    few = np.count_nonzero(ids[1:] < ids[:-1]) < _FEW_RUNS
    if few or ids.size < _MANY:
        order = np.argsort(ids, kind="stable" if few else None)
        return ids[order], steps[order]
    table = pl.DataFrame({"id": ids, "step": steps}).sort("id")
    return table["id"].to_numpy(), table["step"].to_numpy()


def _latest(seen: Seen, sorted_ids: Ids) -> Ints:
    """Second of the latest sight of each id, or long ago; runs overlap, so the highest counts."""
    latest = np.full(sorted_ids.size, _NEVER, dtype=np.int64)
    for run in seen.runs:
        at = np.minimum(np.searchsorted(run.ids, sorted_ids), run.ids.size - 1)
        hit = run.ids[at] == sorted_ids
        latest[hit] = np.maximum(latest[hit], run.steps[at[hit]])
    return latest


def _crowd(seen: Seen, newest: int, params: DedupParams) -> None:
    """Forgets what is too much; counts by second from now on, or no more."""
    oldest = newest - params.horizon_s
    if seen.counts is None or len(seen) > params.max_held - _HEADROOM:
        parts = [(run.ids, run.steps) for run in seen.runs]
        seen.runs = [latest_sights(*map(np.concatenate, zip(*parts, strict=True)))]
        _forget(seen, oldest)
        seen.counts = {}
        _move(seen.counts, np.empty(0, dtype=np.int64), np.concatenate([run.steps for run in seen.runs]))
    floor = max(seen.floor, _floor(seen.counts, params))
    gone = {second: count for second, count in seen.counts.items() if second < max(floor, oldest)}
    seen.counts = {second: count for second, count in seen.counts.items() if second not in gone}
    if floor > oldest:
        seen.forgotten += sum(count for second, count in gone.items() if second >= oldest)
        seen.floor = floor
        _forget(seen, floor)
    if seen.floor <= newest and sum(seen.counts.values()) <= params.max_ids - 2 * _HEADROOM:
        seen.counts = None


def _forget(seen: Seen, floor: int) -> None:
    alive = [(run, run.steps >= max(floor, 0)) for run in seen.runs]
    kept = [run if some.all() else Run(run.ids[some], run.steps[some]) for run, some in alive]
    seen.runs = [run for run in kept if run.ids.size]


def _floors(seen: Seen, before: Ints, steps: Ints, segments: Steps, again: Ints, params: DedupParams) -> Ints:
    """Per sight: the first second that is remembered when its segment starts. `again`: sights of an id seen in the same segment."""
    now, floor = dict(seen.counts or {}), seen.floor
    floors, first = np.empty(steps.size, dtype=np.int64), np.ones(steps.size, dtype=np.bool_)
    first[again] = False
    for segment in np.unique(segments).tolist():
        at = np.flatnonzero(segments == segment)
        floors[at] = floor
        moved = at[first[at]]
        _move(now, before[moved], steps[moved])
        floor = max(floor, _floor(now, params))
    return floors


def _floor(counts: Mapping[int, int], params: DedupParams) -> int:
    """The earliest second since which at most `max_ids` distinct ids were seen; later than the newest if that has more."""
    total, floor = 0, max(counts, default=_NEVER) + 1
    for second in sorted(counts, reverse=True):
        total += counts[second]
        if total > params.max_ids:
            return floor
        floor = second
    return _NEVER


def _move(counts: dict[int, int], before: Ints, steps: npt.NDArray[np.integer[Any]]) -> None:
    """Ids that were last seen then are seen now."""
    for seconds, change in ((before[before >= 0], -1), (steps, 1)):
        for second, count in zip(*(part.tolist() for part in np.unique(seconds, return_counts=True)), strict=True):
            counts[second] = counts.get(second, 0) + change * count
