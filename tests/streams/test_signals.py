"""What is unusual about a brand is found in minutes, though its count is not; ordinary talk is never unusual."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import pytest

from streams.pulse import Pulses, listen
from streams.signals import LEAST_MS, Signal, SignalParams, detect_signals
from tests.streams.brand_talk import MINUTE_MS, Talk, evening
from tests.streams.crowds import START_MS

BRANDS = ("acme", "globex", "initech")
WATCHED = {f"brand:{brand}" for brand in BRANDS}
PARAMS = SignalParams()
USUAL = [Talk("acme", 2.0), Talk("globex", 4.0)]
HISTORY = 480  # minutes


def begun(talks: Callable[[int], Sequence[Talk]], minutes: int, seed: int = 1, *, crash: bool = False) -> list[Signal]:
    """Every signal that begins."""
    pulses, active, found = Pulses(), dict[str, Signal](), list[Signal]()
    for tick_ms, tallies in evening(talks, minutes, seed):
        listen(pulses, tallies, WATCHED)
        now = detect_signals(pulses, active, {tally.term for tally in tallies}, tick_ms, {}, PARAMS)
        found += [signal for key, signal in now.items() if key not in active]
        active = now
        if crash:
            pulses = msgspec.msgpack.decode(msgspec.msgpack.encode(pulses), type=Pulses)
    return found


def after(history: int, *talks: Talk) -> Callable[[int], Sequence[Talk]]:
    """Usual talk, then another."""
    return lambda minute: USUAL if minute < history else talks


def test_three_days_of_ordinary_talk_with_days_and_nights_say_nothing() -> None:
    def ordinary(minute: int) -> list[Talk]:
        daylight = 1 + 0.6 * math.sin(2 * math.pi * minute / 1_440)
        return [Talk(brand, rate * daylight) for brand, rate in zip(BRANDS, (0.2, 2.0, 40.0), strict=True)]

    assert begun(ordinary, 3 * 1_440) == []


@pytest.mark.parametrize(
    ("code", "place", "within", "talk"),
    [
        ("mood_falls", "", 50, Talk(mood=-0.45)),
        ("mood_rises", "", 50, Talk(mood=0.65)),
        ("community", "community:r/kitchen", 30, Talk(rate=2.4, places={"lang:en": 0.75, "community:r/kitchen": 0.3})),
        ("language", "lang:de", 90, Talk(rate=2.4, places={"lang:en": 0.6, "lang:de": 0.4})),
        ("share_of_voice", "", 90, Talk(rate=6.0)),
    ],
)
def test_each_signal_is_found_in_most_evenings_and_nothing_else(code: str, place: str, within: int, talk: Talk) -> None:
    hits = 0
    for seed in range(6):
        found = begun(after(HISTORY, talk, USUAL[1]), HISTORY + 90, seed)
        assert {(one.term, one.code, one.place) for one in found} <= {("brand:acme", code, place)}
        hits += any(one.began_ms <= START_MS + (HISTORY + within) * MINUTE_MS for one in found)
    assert hits >= 5


def test_a_post_of_an_account_with_outsized_reach_is_told_by_its_tally() -> None:
    loud = Talk(followers=2_000_000)
    (signal,) = begun(lambda minute: [loud, USUAL[1]] if minute == HISTORY else USUAL, HISTORY + 60)
    assert (signal.code, signal.began_ms) == ("outsized_reach", START_MS + HISTORY * MINUTE_MS)
    assert signal.reach >= PARAMS.reach
    assert "were the most in the last days" in signal.clause


def test_nothing_is_said_before_two_hours_of_history() -> None:
    assert begun(lambda minute: [Talk(mood=0.6 if minute < 60 else -0.6), USUAL[1]], 115) == []


def test_a_signal_goes_on_as_it_began_and_does_not_flicker() -> None:
    found = begun(after(HISTORY, Talk(mood=-0.45), USUAL[1]), HISTORY + 180)
    assert [one.code for one in found] == ["mood_falls"]
    assert LEAST_MS > 0


def test_the_same_is_found_if_the_state_was_stored_in_between() -> None:
    talks = after(HISTORY, Talk(mood=-0.45), USUAL[1])
    assert begun(talks, HISTORY + 60, crash=True) == begun(talks, HISTORY + 60)


def test_brands_that_left_the_watchlist_are_forgotten() -> None:
    pulses = Pulses()
    for _, tallies in evening(lambda _: [Talk("acme"), Talk("gone")], 60):
        listen(pulses, tallies, WATCHED)
    assert set(pulses.brands) == {"brand:acme"}
    for _, tallies in evening(lambda minute: [Talk("globex")] if minute > 100 else [], 120):
        listen(pulses, tallies, {"brand:globex"})
    assert set(pulses.brands) == {"brand:globex"}


def test_impossible_params_are_refused() -> None:
    with pytest.raises(ValueError, match="ratios above 1"):
        SignalParams(place_ratio=1.0)
