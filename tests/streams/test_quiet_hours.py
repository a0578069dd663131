"""In the quiet hours of its brand a moment waits, unless it is grave; nothing is told twice or out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, decode_brand, encode_brand
from streams.quiet_hours import all_quiet, is_quiet
from tests.streams.crowds import START_MS, talk
from tests.streams.test_curate import Stage, at, statuses

NIGHT = "22:00-23:00"  # START_MS is 22:13:20 UTC


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("quiet", "hours", "zone", "time"),
    [
        (False, "", "UTC", "2026-07-01T03:00"),
        (True, "22:00-07:00", "UTC", "2026-07-01T22:00"),
        (True, "22:00-07:00", "UTC", "2026-07-01T06:59"),
        (False, "22:00-07:00", "UTC", "2026-07-01T07:00"),
        (False, "22:00-07:00", "UTC", "2026-07-01T21:59"),
        (True, "12:00-13:00", "UTC", "2026-07-01T12:30"),
        (False, "12:00-13:00", "UTC", "2026-07-01T13:00"),
        (True, "22:00-07:00", "Europe/Berlin", "2026-07-01T20:00"),
        (False, "22:00-07:00", "Europe/Berlin", "2026-01-01T20:30"),
        (True, "22:00-07:00", "Europe/Berlin", "2026-01-01T21:30"),
    ],
)
def test_quiet_hours_go_past_midnight_and_follow_the_clock_of_the_place(quiet: bool, hours: str, zone: str, time: str) -> None:
    assert is_quiet(Brand(id="acme", quiet_hours=hours, timezone=zone), ms(time)) == quiet


def test_one_team_that_is_awake_is_enough() -> None:
    asleep, awake = Brand(id="a", quiet_hours=NIGHT), Brand(id="b")
    assert all_quiet([asleep], START_MS)
    assert not all_quiet([asleep, awake], START_MS)
    assert not all_quiet([], START_MS)


def night_stage() -> Stage:
    return Stage(brands=[Brand(id="acme", name="Acme", quiet_hours=NIGHT)])


def test_a_moment_of_the_quiet_hours_is_told_after_them_if_it_lasts() -> None:
    stage = night_stage()
    posts = stage.keep(talk("acme recall", 12))
    assert stage.tick(0, at(0, "brand:acme", posts)) == []
    assert stage.tick(60, at(60, "brand:acme", posts, "grown", began=0, observed=30)) == []
    assert stage.tick(2_799) == []
    stage.restart()
    (opened,) = stage.tick(2_815)  # 23:00:15
    assert (opened.sequence, opened.status, opened.opened_ms, opened.observed) == (0, "opened", START_MS, 30)
    stage.tick(3_000, at(3_000, "brand:acme", posts, "faded", began=0))
    assert statuses(stage.told) == [(0, "opened"), (1, "closed")]


def test_one_that_ends_within_them_is_never_told() -> None:
    stage = night_stage()
    posts = stage.keep(talk("acme recall", 12))
    stage.tick(0, at(0, "brand:acme", posts))
    stage.tick(600, at(600, "brand:acme", posts, "faded", began=0))
    assert stage.tick(4_000) == []
    assert stage.state.moments == stage.state.home == {}


def test_a_grave_one_is_told_at_once_or_once_it_is() -> None:
    grave: dict[str, Any] = {"authors": 900, "score": 400.0, "observed": 900, "reach": 10**8}
    stage = night_stage()
    posts = stage.keep(talk("acme recall", 12))
    assert statuses(stage.tick(0, at(0, "brand:acme", posts, **grave))) == [(0, "opened")]
    stage = night_stage()
    stage.keep(posts)
    assert stage.tick(0, at(0, "brand:acme", posts)) == []
    assert statuses(stage.tick(30, at(30, "brand:acme", posts, "grown", began=0, **grave))) == [(0, "opened")]


def test_a_brand_muted_meanwhile_is_not_told_afterwards() -> None:
    stage = night_stage()
    stage.tick(0, at(0, "brand:acme", stage.keep(talk("acme recall", 12))))
    stage.brands = [Brand(id="acme", muted=True)]
    assert stage.tick(3_000) == []


def test_a_moment_of_nobodys_brand_does_not_wait() -> None:
    stage = night_stage()
    posts = stage.keep(talk("#harbourfire smoke", 12))
    assert len(stage.tick(0, at(0, "hashtag:harbourfire", posts), at(0, "keyword:smoke", posts))) == 1


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ("two times of day", {"quiet_hours": "10pm-7am"}),
        ("two times of day", {"quiet_hours": "24:00-07:00"}),
        ("two times of day", {"quiet_hours": "07:00-07:00"}),
        ("is not known here", {"quiet_hours": NIGHT, "timezone": "Berlin"}),
        ("is not known here", {"timezone": "../etc/passwd"}),
    ],
)
def test_what_is_no_time_is_refused_with_an_example(wrong: str, fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        decode_brand(encode_brand(Brand(id="acme", **fields)))  # type: ignore[arg-type]  # all of them are strings
