"""Deduplication: an event is a duplicate if its id was seen before within the horizon of log time; the latest sight counts.

Memory is 12 bytes per remembered id (8-byte hash, 4-byte second of the log clock) in a few sorted runs, merged as they
grow so that looking up n ids costs O(n log m) array operations. Bounded by the horizon: a run whose ids are all older is
dropped whole, older ids of other runs when it is merged. Two ids share a hash once in 2^64 pairs (source: xxh3_64).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint64]
Steps = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]

_NEVER = -(2**62)


@dataclass(frozen=True, slots=True)
class DedupParams:
    """How long an id is remembered, in log time."""

    horizon_ms: int = 900_000

    def __post_init__(self) -> None:
        if self.horizon_ms < 1_000:
            raise ValueError("horizon_ms must be 1000 or more: log time is kept in seconds")

    @property
    def horizon_s(self) -> int:
        """The horizon in whole seconds of the log clock."""
        return self.horizon_ms // 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """Distinct ids, ascending, and the second of the log clock of each one's latest sight."""

    ids: Ids
    steps: Steps


@dataclass(slots=True)
class Seen:
    """Ids remembered of one raw partition, owned by the caller. Runs grow from back to front."""

    runs: list[Run] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(run.ids.size for run in self.runs)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return sum(run.ids.nbytes + run.steps.nbytes for run in self.runs)


def find_duplicates(seen: Seen, ids: Ids, steps: Steps, params: DedupParams) -> Flags:
    """Which of these sights, given in log order, repeat an id within the horizon. Does not change `seen`."""
    order = np.argsort(ids, kind="stable")
    sorted_ids, sorted_steps = ids[order], steps[order].astype(np.int64)
    before = _latest(seen, sorted_ids)
    repeat = np.flatnonzero(sorted_ids[1:] == sorted_ids[:-1]) + 1
    before[repeat] = sorted_steps[repeat - 1]
    flags = np.empty(ids.size, dtype=np.bool_)
    flags[order] = sorted_steps - before <= params.horizon_s
    return flags


def remember(seen: Seen, run: Run, params: DedupParams) -> None:
    """Adds the sights of a run; forgets what the horizon has left behind."""
    if not run.ids.size:
        return
    oldest = int(run.steps.max()) - params.horizon_s
    seen.runs = [old for old in seen.runs if int(old.steps.max()) >= oldest]
    seen.runs.append(run)
    while len(seen.runs) > 1 and seen.runs[-2].ids.size < 2 * seen.runs[-1].ids.size:
        newer, older = seen.runs.pop(), seen.runs.pop()
        merged = latest_sights(np.concatenate((newer.ids, older.ids)), np.concatenate((newer.steps, older.steps)))
        alive = merged.steps >= max(oldest, 0)
        seen.runs.append(merged if alive.all() else Run(merged.ids[alive], merged.steps[alive]))


def latest_sights(ids: Ids, steps: Steps) -> Run:
    """Each distinct id with its latest second, in ascending order of ids."""
    order = np.lexsort((steps, ids))
    sorted_ids = ids[order]
    last = np.append(sorted_ids[1:] != sorted_ids[:-1], True) if ids.size else np.empty(0, dtype=np.bool_)
    return Run(sorted_ids[last], steps[order][last])


def _latest(seen: Seen, sorted_ids: Ids) -> npt.NDArray[np.int64]:
    """Second of the latest sight of each id, or long ago; runs overlap, so the highest counts."""
    latest = np.full(sorted_ids.size, _NEVER, dtype=np.int64)
    for run in seen.runs:
        at = np.minimum(np.searchsorted(run.ids, sorted_ids), run.ids.size - 1)
        hit = run.ids[at] == sorted_ids
        latest[hit] = np.maximum(latest[hit], run.steps[at[hit]])
    return latest
