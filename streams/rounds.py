"""Rounds: surges and tallies of all detect partitions tick by tick, in one canonical order, each batch exactly once.

Batches of a partition are numbered: a lower number than expected is a replay and dropped, a higher one is a gap and stops
the pipeline. A tick is handed out when every partition has passed it, or when more than MAX_WAITING of them wait for one that has
not: what that one says of the tick later belongs to the tick that is next then. State: one number and one tick per partition,
and what waits.
"""

from __future__ import annotations

import msgspec

from schemas.candidates import CandidateBatch, Surge, Tally
from schemas.errors import BrokenLog
from streams.ticks import quiet_ticks

MAX_WAITING = 20_000
"""Surges and tallies, up to 6 kB each with their samples: hours of a busy day while nobody serves a detect partition."""


class Round(msgspec.Struct, frozen=True):
    """All surges of one tick, sorted by term and phase, and all tallies, sorted by term; none on a quiet tick."""

    tick_ms: int
    surges: tuple[Surge, ...]
    tallies: tuple[Tally, ...] = ()


class RoundState(msgspec.Struct):
    """Owned by the caller; a plain value, so encoding it is its snapshot."""

    expected: int = 0  # detect partitions in all
    next: dict[int, int] = {}
    ticks: dict[int, int] = {}
    waiting: dict[int, list[Surge]] = {}
    tick_ms: int = -1
    data_tick_ms: int = -1
    forced: int = 0  # surges and tallies that did not wait for every partition
    tallies: dict[int, list[Tally]] = {}  # those that wait

    @property
    def waiting_surges(self) -> int:
        """Surges and tallies of ticks that some partition has not reached."""
        return sum(len(said) for by_tick in (self.waiting, self.tallies) for said in by_tick.values())

    def waiting_at(self, tick_ms: int) -> int:
        """Those of one tick."""
        return len(self.waiting.get(tick_ms, ())) + len(self.tallies.get(tick_ms, ()))

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
    tick_ms = max(batch.tick_ms, state.tick_ms)
    if batch.surges:
        state.waiting.setdefault(tick_ms, []).extend(batch.surges)
    if batch.tallies:
        state.tallies.setdefault(tick_ms, []).extend(batch.tallies)
    until_ms = min(state.ticks.values()) if len(state.ticks) >= state.expected else -1
    return _advance(state, max(until_ms, _forced(state, until_ms)))


def _forced(state: RoundState, until_ms: int) -> int:
    """The tick that must be handed out, reached by all or not, so that no more than MAX_WAITING surges wait; -1: none."""
    forced_ms, waiting = -1, state.waiting_surges
    for tick_ms in sorted({*state.waiting, *state.tallies}):
        if waiting <= MAX_WAITING:
            break
        forced_ms, waiting = tick_ms, waiting - state.waiting_at(tick_ms)
        state.forced += state.waiting_at(tick_ms) if tick_ms > until_ms else 0
    return forced_ms


def _advance(state: RoundState, until_ms: int) -> list[Round]:
    rounds: list[Round] = []
    for tick_ms in sorted(tick for tick in {*state.waiting, *state.tallies} if tick <= until_ms):
        rounds += _quiet(state, tick_ms - 1)
        surges = sorted(state.waiting.pop(tick_ms, []), key=lambda surge: (surge.term, surge.phase))
        tallies = sorted(state.tallies.pop(tick_ms, []), key=lambda one: one.term)
        rounds.append(Round(tick_ms, tuple(surges), tuple(tallies)))
        state.tick_ms = state.data_tick_ms = tick_ms
    return rounds + _quiet(state, until_ms)


def _quiet(state: RoundState, until_ms: int) -> list[Round]:
    if state.data_tick_ms < 0:
        return []
    ticks = list(quiet_ticks(state.data_tick_ms, state.tick_ms, until_ms))
    state.tick_ms = max([state.tick_ms, *ticks])
    return [Round(tick_ms, ()) for tick_ms in ticks]
