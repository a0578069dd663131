"""The page's state: a row counts once, a moment never goes back, and nothing grows without end."""

from __future__ import annotations

import msgspec
import pytest

from agents.page_view import KEEP_WINDOWS, MAX_MOMENTS, TOP_TERMS, PageView
from schemas.windows import WINDOW_MS
from tests.agents.page_records import START_MS, batch, moment


def test_a_window_counts_once_its_newest_version_and_all_its_parts() -> None:
    view = PageView()
    for version, events in ((2, 30), (1, 10), (2, 30)):
        view.apply_windows(batch((START_MS, "brand:kestrel", "0", version, events)))
    view.apply_windows(batch((START_MS, "brand:kestrel", "0/1:99", 1, 4)))
    assert view.counts()["brands"] == [{"term": "brand:kestrel", "points": [34], "open": None}]


def test_a_moment_that_comes_again_or_late_is_no_news() -> None:
    view = PageView()
    news = [view.apply_moment(moment(sequence=sequence)) for sequence in (0, 1, 1, 0)]
    assert news == [True, True, False, False]
    assert [shown["sequence"] for shown in view.snapshot()["moments"]] == [1]
    assert view.counts()["totals"]["opened"] == 1


def test_a_flood_is_counted_beside_the_moments() -> None:
    view = PageView()
    view.apply_moment(moment(1))
    view.apply_moment(moment(2, organic=False))
    totals = view.counts()["totals"]
    assert (totals["open"], totals["opened"], totals["inorganic"]) == (1, 1, 1)


def test_closed_moments_go_first_when_there_are_too_many() -> None:
    view = PageView()
    view.apply_moment(moment(0))
    view.apply_moment(moment(1, status="closed", closed_ms=START_MS))
    for number in range(2, MAX_MOMENTS + 1):
        view.apply_moment(moment(number))
    kept = [shown["moment_id"] for shown in view.snapshot()["moments"]]
    assert len(kept) == MAX_MOMENTS
    assert "m0" in kept
    assert "m1" not in kept


def test_the_moment_that_opened_last_comes_first_however_often_others_are_updated() -> None:
    view = PageView()
    view.apply_moment(moment(1, opened_ms=START_MS))
    view.apply_moment(moment(2, opened_ms=START_MS + 1))
    view.apply_moment(moment(1, opened_ms=START_MS, sequence=1, status="updated"))
    assert [shown["moment_id"] for shown in view.snapshot()["moments"]] == ["m2", "m1"]


def test_old_windows_are_forgotten_and_holes_are_zeros() -> None:
    view = PageView()
    for number in range(KEEP_WINDOWS + 30):
        view.apply_windows(batch((START_MS + number * WINDOW_MS, "all:posts", "0", 1, number)))
    view.apply_windows(batch((START_MS + (KEEP_WINDOWS + 31) * WINDOW_MS, "all:posts", "0", 1, 5)))
    points = view.counts()["all"]
    assert len(points) == KEEP_WINDOWS
    assert points[-3:] == [KEEP_WINDOWS + 29, 0, 5]


def test_top_terms_are_the_most_frequent_that_nobody_watches() -> None:
    view = PageView()
    view.apply_windows(
        batch(*((START_MS, f"keyword:w{n:03d}", "0", 1, n) for n in range(600)), (START_MS, "all:posts", "0", 1, 9_999))
    )
    top = view.counts()["top"]
    assert len(top) == TOP_TERMS
    assert top[0] == {"term": "keyword:w599", "events": 599}


def test_what_was_told_and_is_nothing_after_all_is_not_shown() -> None:
    view = PageView()
    ahead_ms = START_MS + 8 * 3_600_000
    view.apply_windows(
        batch((START_MS, "all:posts", "0", 1, 10), (START_MS, "keyword:w", "0", 1, 9), (START_MS, "brand:a", "0", 1, 1))
    )
    view.apply_windows(batch((ahead_ms, "all:posts", "0", 1, 1)))
    zeros = batch((ahead_ms, "all:posts", "0", 2, 0), (START_MS, "keyword:w", "0", 2, 0), (START_MS, "brand:a", "0", 2, 0))
    for told in (zeros, batch((START_MS, "brand:a", "0", 1, 1)), zeros):  # a replay sends them again in order
        view.apply_windows(told)
    shown = view.counts()
    assert (shown["newest_ms"], shown["totals"]["posts"], shown["totals"]["windows"]) == (START_MS, 10, 1)
    assert (shown["all"], shown["brands"], shown["top"]) == ([10], [], [])


def test_provisional_counts_stand_beside_closed_ones() -> None:
    view = PageView()
    view.apply_windows(batch((START_MS, "brand:kestrel", "0", 1, 10)))
    view.apply_open({"brand:kestrel": 17})
    assert view.counts()["brands"][0]["open"] == 17


@pytest.mark.parametrize("fill", [False, True])
def test_the_snapshot_is_plain_json(fill: bool) -> None:
    view = PageView()
    if fill:
        view.apply_moment(moment())
        view.apply_windows(batch((START_MS, "hashtag:lightsout", "0", 1, 10)))
    again = msgspec.json.decode(msgspec.json.encode(view.snapshot()))
    assert [shown["points"] for shown in again["moments"]] == ([[10]] if fill else [])
