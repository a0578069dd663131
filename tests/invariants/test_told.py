"""What curate has told before a crash is told once, and to its end, also by a life that sees another watchlist."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.candidates import CandidateBatch, encode_candidates
from schemas.moments import Status, decode_moment
from schemas.watchlist import Brand
from tests.invariants.broker import Broker
from tests.invariants.owners import CurateOwner
from tests.invariants.setting import BRANDS, Setting
from tests.streams.crowds import START_MS, surge

MUTED = (Brand(id="acme", muted=True),)


def candidates(seconds: Sequence[int]) -> list[bytes]:
    """A brand surges, grows at every given second, and has faded with the last one."""
    log = []
    for number, second in enumerate(seconds):
        phase = "opened" if number == 0 else "faded" if second == seconds[-1] else "grown"
        tick_ms = START_MS + second * 1_000
        one = surge("brand:acme", (), tick_ms, phase, opened_ms=START_MS, observed=10 * 2**number, authors=9, events=20)
        batch = CandidateBatch(partition=0, partitions=1, sequence=number, tick_ms=tick_ms, surges=(one,))
        log.append(encode_candidates((batch,)))
    return log


def broker(seconds: Sequence[int]) -> Broker:
    world = Broker.of(Setting(sources=1, partitions=1))
    world.candidates = candidates(seconds)
    return world


def told(world: Broker) -> list[tuple[int, Status]]:
    return [(one.sequence, one.status) for one in map(decode_moment, world.moments)]


def live(world: Broker, batches: int, *, brands: Sequence[Brand] = BRANDS, save: bool = False) -> None:
    """One life: so many batches, perhaps a checkpoint, and the end."""
    owner = CurateOwner(world, brands)
    owner.take(batches)
    owner.deliver()
    if save:
        owner.save()
        owner.deliver()


def test_after_a_crash_nothing_is_told_twice_and_nothing_is_missing() -> None:
    world = broker([0, 10, 20, 30])
    live(world, 1, save=True)
    live(world, 2)
    live(world, 9)
    assert told(world) == [(0, "opened"), (1, "updated"), (2, "updated"), (3, "closed")]


def dies_behind_its_checkpoint() -> list[tuple[int, Status]]:
    """A life ends with the last but one message of its checkpoint, another one goes on."""
    world = broker([0, 10, 20])
    owner = CurateOwner(world)
    owner.take(1)
    owner.save()
    owner.deliver(len(owner.outbox) - 1)
    live(world, 9)
    return told(world)


def test_a_checkpoint_waits_for_the_moments_before_it() -> None:
    assert dies_behind_its_checkpoint() == [(0, "opened"), (1, "updated"), (2, "closed")]


def test_that_a_checkpoint_overtook_its_moments_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    save = CurateOwner.save

    def hasty(self: CurateOwner) -> None:
        waiting, self.outbox = self.outbox, type(self.outbox)()
        save(self)
        self.outbox.extend(waiting)

    monkeypatch.setattr(CurateOwner, "save", hasty)
    assert dies_behind_its_checkpoint() == [(1, "updated"), (2, "closed")]


def test_nor_is_it_if_the_next_life_saves_in_the_middle_of_its_replay_and_dies_too() -> None:
    world = broker([0, 10, 20, 30])
    live(world, 3)
    live(world, 1, save=True)
    live(world, 9)
    assert told(world) == [(0, "opened"), (1, "updated"), (2, "updated"), (3, "closed")]


def test_a_moment_that_was_told_is_closed_though_its_brand_is_muted_when_the_log_is_read_again() -> None:
    world = broker([0, 10, 20])
    live(world, 1, save=True)
    live(world, 1)
    live(world, 9, brands=MUTED)
    assert told(world)[-1][1] == "closed"


def test_a_moment_that_was_told_is_closed_though_it_would_not_be_opened_any_more() -> None:
    world = broker([0, 10, 20])
    live(world, 1)
    live(world, 9, brands=MUTED)
    assert told(world)[-1][1] == "closed"
