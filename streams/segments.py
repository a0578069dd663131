"""Segments: a raw partition cut by its log alone, so that every worker cuts the same pieces for ever.

A segment ends before the first record whose log clock reaches a later second than the segment's first record, or after
`segment_records` records or `segment_bytes` bytes. The log clock is the running maximum of record timestamps, except
that a jump ahead by more than `max_jump_ms` moves it only when `confirm_records` records lie ahead and none has come
back to the old clock (year 2099 on one record moves nothing, a quiet week does); until then those records are held
back, undecided, at the end of the open segment; as many as a segment may hold deny the jump. The same rule gives the very
first clock. Whoever starts at a segment's start with the clock before it cuts the same segments: that is all the state
there is, and at most two segments' records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

STEP_MS = 1_000
_FEWEST_AHEAD = 64
_FIRST_SPREAD_MS = 30 * 86_400_000  # among the first records; a sparse archive may start with a post a day


@dataclass(frozen=True, slots=True)
class SegmentParams:
    """When to cut."""

    segment_records: int = 8_192  # bounds memory and latency of one columnar pass
    segment_bytes: int = 8_000_000  # the same for records near the size limit
    max_jump_ms: int = 6 * 3_600_000  # a quiet night in one partition is normal, a year is a broken clock
    confirm_records: int = 8  # 2 % records of one broken clock agree 8 times in a row once in 4e13

    def __post_init__(self) -> None:
        if min(self.segment_records, self.segment_bytes, self.max_jump_ms, self.confirm_records) < 1:
            raise ValueError("segment_records, segment_bytes, max_jump_ms and confirm_records must be 1 or more")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the log alone says of a record: where it lies, its broker timestamp and its size."""

    offset: int
    log_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One finished segment: `count` records, `times_ms` what each record's timestamp is taken for."""

    start: int
    end: int
    step_ms: int
    clock_before_ms: int | None  # log clock before the record that ended the segment: where a new owner resumes
    clock_ms: int  # log clock with that record
    times_ms: tuple[int, ...]

    @property
    def count(self) -> int:
        """Records in the segment."""
        return len(self.times_ms)


@dataclass(slots=True)
class Cutter:
    """State of one raw partition, owned by the caller: the open segment's start and clock, and the records held back."""

    start: int
    clock_ms: int | None
    params: SegmentParams
    times: list[int] = field(default_factory=list)  # decided records of the open segment
    held: list[Stamp] = field(default_factory=list)  # undecided records behind them
    _step: int = 0
    _bytes: int = 0
    _held_bytes: int = 0
    _end: int = 0

    def push(self, stamps: Iterable[Stamp]) -> list[Cut]:
        """Takes the next records of the log, returns the segments that they end."""
        stamps = list(stamps)
        return self.push_columns([one.offset for one in stamps], [one.log_ms for one in stamps], [one.size for one in stamps])

    def push_columns(self, offsets: Sequence[int], times_ms: Sequence[int], sizes: Sequence[int]) -> list[Cut]:
        """The same for columns: one step for each run of records that nothing is held back for, as nearly all are."""
        cuts: list[Cut] = []
        at, ahead = 0, len(offsets)
        while at < len(offsets):
            taken = 0
            if self.clock_ms is not None and not self.held:
                here = slice(at, at + ahead)
                taken = self._run(offsets[here], times_ms[here], sizes[here], cuts)
                ahead = max(2 * taken, _FEWEST_AHEAD)  # so that a log full of jumps costs no more than its length
            if not taken:
                self._one(Stamp(offsets[at], times_ms[at], sizes[at]), cuts)
            at += taken or 1
        return cuts

    def open_times(self, now_ms: int) -> list[int]:
        """What the open segment's records count as right now, held ones included; a guess, for provisional packets.

        A held timestamp is believed unless it is ahead of the wall clock, the one thing that a log cannot tell.
        """
        fallback = now_ms if self.clock_ms is None else self.clock_ms
        tolerated_ms = now_ms + 60_000
        return self.times + [stamp.log_ms if stamp.log_ms <= tolerated_ms else fallback for stamp in self.held]

    def open_end(self) -> int:
        """Offset behind the last record taken."""
        if self.held:
            return self.held[-1].offset + 1
        return self._end if self.times else self.start

    @property
    def open_records(self) -> int:
        """Records of the open segment, held ones included."""
        return len(self.times) + len(self.held)

    @property
    def open_bytes(self) -> int:
        """Their bytes."""
        return self._bytes + self._held_bytes

    def _one(self, stamp: Stamp, cuts: list[Cut]) -> None:
        clock, jump = self.clock_ms, self.params.max_jump_ms
        if clock is None or stamp.log_ms > clock + jump:
            self._hold(stamp, cuts)
        elif self.held and stamp.log_ms < clock - jump and self._may_hold(stamp):
            self._keep(stamp)  # as wrong as can be: no witness for or against the jump
        else:
            self._deny(cuts)
            self._take(stamp, cuts)

    def _run(self, offsets: Sequence[int], times_ms: Sequence[int], sizes: Sequence[int], cuts: list[Cut]) -> int:
        """Takes the records up to the first jump; how many."""
        assert self.clock_ms is not None
        jump = self.params.max_jump_ms
        times = np.array(times_ms, dtype=np.int64)
        clocks = np.maximum.accumulate(np.concatenate([[self.clock_ms], times]))
        jumps = np.flatnonzero(times > clocks[:-1] + jump)
        count = int(jumps[0]) if jumps.size else times.size
        times, after = times[:count], clocks[1 : count + 1]
        steps, kept = after // STEP_MS, np.where(np.abs(times - after) <= jump, times, after).tolist()
        bytes_before = np.concatenate([[0], np.cumsum(sizes[:count], dtype=np.int64)])
        done = 0
        while done < count:
            if not self.times:
                self._step = int(steps[done])
            first = 0 if self.times else 1  # a segment takes its first record, whatever its size
            room = bytes_before[done] + self.params.segment_bytes - self._bytes
            end = min(
                done + max(self.params.segment_records - len(self.times), first),
                max(int(np.searchsorted(bytes_before, room, side="right")) - 1, done + first),
                int(np.searchsorted(steps, self._step, side="right")),
            )
            if end > done:
                self.times += islice(kept, done, end)
                self._bytes += int(bytes_before[end] - bytes_before[done])
                self._end, self.clock_ms = offsets[end - 1] + 1, int(after[end - 1])
            if end < count:
                self._cut(int(after[end]), cuts)
            done = end
        return count

    def _may_hold(self, stamp: Stamp) -> bool:
        """Whether there is room: a producer whose clock stands at 1970 would be held for ever."""
        return len(self.held) < self.params.segment_records and self._held_bytes + stamp.size <= self.params.segment_bytes

    def _keep(self, stamp: Stamp) -> None:
        self.held.append(stamp)
        self._held_bytes += stamp.size

    def _release(self) -> list[Stamp]:
        held, self.held, self._held_bytes = self.held, [], 0
        return held

    def _hold(self, stamp: Stamp, cuts: list[Cut]) -> None:
        self._keep(stamp)
        ahead = [one.log_ms for one in self.held if self.clock_ms is None or one.log_ms > self.clock_ms]
        if len(ahead) < self.params.confirm_records:
            return
        held = self._release()
        if self.clock_ms is None:  # nothing to be ahead of: records long before the others are no clock either
            middle = sorted(ahead)[(len(ahead) - 1) // 2]
            ahead = [time for time in ahead if time >= middle - _FIRST_SPREAD_MS]
        if self.times:
            self._cut(min(ahead), cuts)
        self.clock_ms = min(ahead)
        for one in held:
            self._one(one, cuts)

    def _deny(self, cuts: list[Cut]) -> None:
        for stamp in self._release():
            self._take(stamp, cuts)

    def _take(self, stamp: Stamp, cuts: list[Cut]) -> None:
        clock, jump = self.clock_ms, self.params.max_jump_ms
        assert clock is not None, "records are held until there is a clock"
        after = stamp.log_ms if clock < stamp.log_ms <= clock + jump else clock
        if self.times and (
            after // STEP_MS > self._step
            or len(self.times) >= self.params.segment_records
            or self._bytes + stamp.size > self.params.segment_bytes
        ):
            self._cut(after, cuts)
        if not self.times:
            self._step = after // STEP_MS
        self.clock_ms = after
        self.times.append(stamp.log_ms if abs(stamp.log_ms - after) <= jump else after)
        self._bytes += stamp.size
        self._end = stamp.offset + 1

    def _cut(self, after: int, cuts: list[Cut]) -> None:
        cuts.append(Cut(self.start, self._end, self._step * STEP_MS, self.clock_ms, after, tuple(self.times)))
        self.start, self.times, self._bytes = self._end, [], 0
