"""What the topic holds is not told again, and goes on from its last number if it would be told otherwise."""

from __future__ import annotations

import msgspec

from schemas.moments import Moment, encode_moment
from streams.curate import CurateState
from streams.told import Told
from tests.streams.crowds import talk
from tests.streams.test_curate import Stage, at


def life() -> tuple[Stage, list[Moment]]:
    """Opened at 0 s, updated at 20 s."""
    stage = Stage()
    posts = stage.keep(talk("acme recall", 30))
    stage.tick(0, at(0, "brand:acme", posts[:10]))
    stage.tick(20, at(20, "brand:acme", posts, "grown", began=0, observed=30))
    return stage, stage.told


def told_of(moments: list[Moment], state: CurateState) -> Told:
    told = Told()
    for offset, moment in enumerate(moments, 7):
        told.add(offset, encode_moment(moment), state)
    return told


def test_what_is_made_again_is_not_sent_again_and_a_checkpoint_knows_how_far_that_is() -> None:
    _, (opened, updated) = life()
    stage = Stage()
    posts = stage.keep(talk("acme recall", 30))
    told = told_of([opened, updated], stage.state)
    assert told.first_offset == 7
    assert told.settle(stage.state, stage.tick(0, at(0, "brand:acme", posts[:10]))) == []
    assert told.first_offset == 8
    assert told.settle(stage.state, stage.tick(20, at(20, "brand:acme", posts, "grown", began=0, observed=30))) == []
    assert told.first_offset is None
    assert len(told) == 0


def test_what_the_state_of_a_checkpoint_knows_is_left_out() -> None:
    stage, moments = life()
    stage.tick(30)
    assert len(told_of(moments, stage.state)) == 0


def test_another_body_is_not_sent_and_the_moment_goes_on_from_the_last_number() -> None:
    stage, (opened, updated) = life()
    del stage.told[:]
    told = told_of([opened, msgspec.structs.replace(updated, severity=9)], CurateState())
    assert told.settle(stage.state, [opened, updated]) == []
    (closed,) = stage.tick(300, at(300, "brand:acme", (), "faded", began=0))
    assert told.settle(stage.state, [closed]) == [closed]
    assert (closed.sequence, closed.severity) == (2, 9)


def test_a_close_made_in_place_of_an_update_gets_the_next_number() -> None:
    stage, (opened, updated) = life()
    told = told_of([opened, updated], CurateState())
    (closed,) = stage.tick(300, at(300, "brand:acme", (), "faded", began=0))
    early = msgspec.structs.replace(closed, sequence=1)
    assert told.settle(stage.state, [opened, early]) == [closed]


def test_a_moment_that_this_life_does_not_know_ends_once_its_tick_has_passed() -> None:
    _, moments = life()
    state = CurateState()
    told = told_of(moments, state)
    state.tick_ms = moments[1].updated_ms
    assert [moment.sequence for moment in told.settle(state, [])] == [2]
    (closed,) = told_of(moments, CurateState()).settle(state, [])
    assert (closed.status, closed.closed_ms, closed.moment_id) == ("closed", state.tick_ms, moments[0].moment_id)
    assert closed.why.startswith("No longer followed")
    assert told.settle(state, []) == []


def test_nothing_follows_an_end_that_was_told() -> None:
    stage, moments = life()
    closed = msgspec.structs.replace(moments[1], status="closed", sequence=1)
    told = told_of([moments[0], closed], CurateState())
    assert told.settle(stage.state, moments) == []
    assert stage.tick(300, at(300, "brand:acme", (), "faded", began=0)) == []
