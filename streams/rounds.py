"""Rounds: surges of all detect partitions tick by tick, in one canonical order, each batch exactly once.

Batches of a partition are numbered: a lower number than expected is a replay and dropped, a higher one is a gap and stops
the pipeline. A tick is handed out when every partition has passed it. State: one number and one tick per partition,
surges of ticks that some partition has not reached.
"""

from __future__ import annotations

import msgspec

from schemas.candidates import CandidateBatch, Surge
from schemas.errors import BrokenLog
from streams.ticks import quiet_ticks


class Round(msgspec.Struct, frozen=True):
    """All surges of one tick, sorted by term and phase; none on a quiet tick."""

    tick_ms: int
    surges: tuple[Surge, ...]


class RoundState(msgspec.Struct):
    """Owned by the caller; a plain value, so encoding it is its snapshot."""

    expected: int = 0  # detect partitions in all
    next: dict[int, int] = {}
    ticks: dict[int, int] = {}
    waiting: dict[int, list[Surge]] = {}
    tick_ms: int = -1
    data_tick_ms: int = -1

    def snapshot(self) -> bytes:
        """The state as bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def restore(cls, data: bytes) -> RoundState:
        """The state of `snapshot`."""
        return msgspec.msgpack.decode(data, type=cls)


def complete_rounds(state: RoundState, batch: CandidateBatch) -> list[Round]:
    """Takes the next batch of the candidates log, returns the ticks that it completes. Raises BrokenLog on a gap."""
    number = state.next.setdefault(batch.partition, batch.sequence)
    if batch.sequence < number:
        return []
    if batch.sequence > number:
        raise BrokenLog(
            f"detect partition {batch.partition}: candidate batch {batch.sequence}, expected {number}:"
            " batches in between are missing from the candidates topic"
        )
    state.expected = max(state.expected, batch.partitions)
    state.next[batch.partition] = number + 1
    state.ticks[batch.partition] = max(batch.tick_ms, state.ticks.get(batch.partition, -1))
    if batch.surges:
        state.waiting.setdefault(max(batch.tick_ms, state.tick_ms), []).extend(batch.surges)
    if len(state.ticks) < state.expected:
        return []
    return _advance(state, min(state.ticks.values()))


def _advance(state: RoundState, until_ms: int) -> list[Round]:
    rounds: list[Round] = []
    for tick_ms in sorted(tick for tick in state.waiting if tick <= until_ms):
        rounds += _quiet(state, tick_ms - 1)
        surges = sorted(state.waiting.pop(tick_ms), key=lambda surge: (surge.term, surge.phase))
        rounds.append(Round(tick_ms, tuple(surges)))
        state.tick_ms = state.data_tick_ms = tick_ms
    return rounds + _quiet(state, until_ms)


def _quiet(state: RoundState, until_ms: int) -> list[Round]:
    if state.data_tick_ms < 0:
        return []
    ticks = list(quiet_ticks(state.data_tick_ms, state.tick_ms, until_ms))
    state.tick_ms = max([state.tick_ms, *ticks])
    return [Round(tick_ms, ()) for tick_ms in ticks]
