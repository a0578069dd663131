"""Where counts are under way a range is compared, where they are not a number; and everything beside the counts is named."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from agents.cli import verify as command
from agents.raw_recount import Recounted
from agents.recount import CELLS, NEVER_MS, Dead, Outcomes
from agents.recount_compare import EVERYTHING_MS, LEFT_OUT, STORED, Comparison, Difference, Scope, compare
from agents.recount_tally import Post, Said
from agents.settings import Settings
from agents.verify import HEARD_S, Asked, Verified, _Verifier
from agents.verify_beside import Alerts, Wrong, wrong_alerts, wrong_dead_letters, wrong_mentions

START_MS = 1_760_000_000_000
EARLY_MS, LATE_MS = START_MS + 60_000, START_MS + 600_000  # when an event was seen
NOTHING = Recounted(pl.DataFrame(), {}, {}, set(), set(), {}, {})
POST = ("x", "1")


def cells(*rows: tuple[str, int, int]) -> pl.DataFrame:
    """(term, when seen, events) of one window."""
    return pl.DataFrame([(term, START_MS, seen, events) for term, seen, events in rows], schema=CELLS, orient="row")


def compared(stored: dict[str, int], rows: list[tuple[str, int, int]], left_out: int = 0, **scope: object) -> Comparison:
    """One window of the store beside the recount; by default it has closed, and late events are under way."""
    table = pl.DataFrame([(term, START_MS, events) for term, events in stored.items()], schema=STORED, orient="row")
    told = pl.DataFrame({"window_start_ms": [START_MS], "events": [left_out]})
    return compare(table, told, cells(*rows), Scope(**({"closed_ms": START_MS + 120_000} | scope)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("different", "stored"), [(1, 4), (0, 5), (0, 6), (0, 7), (1, 8)])
def test_between_what_must_and_what_may_be_stored_nothing_is_wrong(different: int, stored: int) -> None:
    found = compared({"all:posts": stored}, [("all:posts", EARLY_MS, 5), ("all:posts", NEVER_MS, 2)])
    assert (found.different, found.in_motion) == (different, 1)


@pytest.mark.parametrize(("different", "open_windows", "stored"), [(0, 1, {}), (0, 1, {"all:posts": 4}), (1, 0, {"all:posts": 5})])
def test_a_window_that_need_not_be_closed_is_compared_once_all_of_its_posts_are_stored(
    different: int, open_windows: int, stored: dict[str, int]
) -> None:
    found = compared(stored, [("all:posts", EARLY_MS, 5), ("brand:a", EARLY_MS, 1)], closed_ms=START_MS + 10_000, lateness_ms=1)
    assert (found.different, found.open_windows) == (different, open_windows)


def test_a_window_closes_behind_its_lateness() -> None:
    rows = [("all:posts", EARLY_MS, 5)]
    assert compared({}, rows, closed_ms=START_MS + 39_999, lateness_ms=30_000).open_windows == 1
    assert compared({}, [("all:posts", START_MS, 5)], closed_ms=START_MS + 40_000, lateness_ms=30_000).different == 1


def test_an_idle_pipeline_has_stored_everything_but_what_nobody_can_expect() -> None:
    rows = [("all:posts", LATE_MS, 5), ("all:posts", NEVER_MS, 1)]
    assert compared({}, rows, closed_ms=EVERYTHING_MS).examples[0]["recounted"] == 5


def test_of_what_is_missing_the_common_term_is_named_and_the_rest_told_together() -> None:
    rows = [("all:posts", EARLY_MS, 9), ("keyword:often", EARLY_MS, 7), ("keyword:rare", EARLY_MS, 2)]
    found = compared({"all:posts": 9}, rows, left_out=1)
    expected: list[Difference] = [
        {"term": LEFT_OUT, "window_start_ms": START_MS, "recounted": 2, "stored": 1},
        {"term": "keyword:often", "window_start_ms": START_MS, "recounted": 7, "stored": 0},
    ]
    assert found.examples == expected
    assert compared({"all:posts": 9}, rows, left_out=9).different == 0


@pytest.mark.parametrize(
    ("different", "scope"),
    [
        (3, {}),
        (1, {"kinds": frozenset({"all"})}),
        (2, {"kinds": frozenset({"keyword"})}),
        (1, {"terms": frozenset({"keyword:a"})}),
        (0, {"since_ms": START_MS + 10_000}),
    ],
)
def test_what_was_not_asked_for_is_not_told(different: int, scope: dict[str, object]) -> None:
    rows = [("all:posts", EARLY_MS, 5), ("keyword:a", EARLY_MS, 6), ("keyword:b", EARLY_MS, 7)]
    assert compared({"all:posts": 4, "keyword:a": 5}, rows, 0, **scope).different == different


@pytest.mark.parametrize(
    ("expected", "found", "stored"),
    [
        ([], NOTHING._replace(mentions={POST: {Said(5, 4)}}), {POST: 5}),
        (["is not stored"], NOTHING._replace(mentions={POST: {Said(5, 4)}}), {}),
        ([], NOTHING._replace(more_mentions={POST: {Said(5, 4)}}), {}),
        ([], NOTHING._replace(more_mentions={POST: {Said(5, 4)}}), {POST: 5}),
        (["is stored as of 5, there is a newer one of 9"], NOTHING._replace(mentions={POST: {Said(5, 4), Said(9, 8)}}), {POST: 5}),
        (["is stored, and the log has no such post that names a brand"], NOTHING, {POST: 5}),
        (["was deleted and is stored"], NOTHING._replace(mentions={POST: {Said(5, 4)}}, deleted={POST}), {POST: 5}),
        ([], NOTHING._replace(mentions={POST: {Said(5, 4)}}, deleted={POST}), {}),
        ([], NOTHING._replace(mentions={POST: {Said(5, 4)}}, more_deleted={POST}), {}),
    ],
)
def test_a_mention_is_there_for_each_post_that_names_a_brand_until_it_is_deleted(
    expected: list[str], found: Recounted, stored: dict[Post, int]
) -> None:
    assert [one.says for one in wrong_mentions(found, stored, lambda _: True)] == expected


def test_dead_letters_are_there_with_their_reason_and_nothing_else_is() -> None:
    found = NOTHING._replace(dead={("raw", 0, n): Dead(n, START_MS, "empty") for n in range(3)})
    stored = {("raw", 0, 0): "empty", ("raw", 0, 1): "not_json", ("raw", 1, 7): "empty"}
    assert {one.which: one.says for one in wrong_dead_letters(found, stored, lambda _: True)} == {
        "raw/0@2": "is not stored (empty)",
        "raw/0@1": "is stored as not_json, and is empty",
        "raw/1@7": "is stored as empty, and the record decodes",
    }


def test_an_alert_has_one_body_everywhere_and_no_sequence_is_left_out() -> None:
    bodies = {("a", 0): {b"a0"}, ("a", 2): {b"a2"}, ("b", 0): {b"b0", b"other"}, ("c", 1): {b"c1"}}
    told = Alerts(defaultdict(set, bodies))
    stored = {("a", 0): b"a0", ("a", 2): b"else", ("b", 0): b"b0", ("d", 0): b"d0"}
    assert sorted((one.which, one.says) for one in wrong_alerts(told, told, stored)) == [
        ("a/1", "is missing on the topic, there is 2"),
        ("a/2", "is stored with another body"),
        ("b/0", "has several bodies on the topic"),
        ("c/0", "is missing on the topic, there is 1"),
        ("c/1", "is not stored"),
        ("d/0", "is stored, and not on the topic"),
    ]
    told.is_whole = False
    assert not {"c/0", "d/0"} & {one.which for one in wrong_alerts(told, told, stored)}


@pytest.mark.parametrize(
    ("listens", "listened_s", "heard", "in_motion"),
    [(True, HEARD_S - 1, {}, 3), (False, HEARD_S, {}, 3), (False, 1, {}, 0), (False, 1, {7: 40}, 3), (True, 1, {7: 39}, 3)],
)
def test_idle_sources_are_listened_to_for_so_long_however_long_the_tables_took(
    listens: bool, listened_s: float, heard: dict[int, int], in_motion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody: Any = None
    verifier: Any = _Verifier(Settings(), Asked(), nobody, nobody, nobody)
    part = SimpleNamespace(position=40, raw=SimpleNamespace(open=lambda: SimpleNamespace(end=40)))
    verifier.starts, verifier.began_at, verifier.recount = {"tp": 0}, {"tp": 40}, SimpleNamespace(parts={"tp": part})
    verifier.watch.heard, verifier.watch.listened_s = heard, listened_s
    monkeypatch.setattr(_Verifier, "_source", lambda *_: 7)
    found = Verified(Comparison(5, 0, 0, [], in_motion, 0), Outcomes(), [], 0, 0, 0, 0, 0, 0)
    assert verifier.listens(found) is listens


def test_people_see_each_difference_and_how_much_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    examples: list[Difference] = [{"term": "brand:acme\x1b", "window_start_ms": START_MS, "recounted": 1_007, "stored": 1_000}]
    found = Verified(
        Comparison(50, 3, 7, examples, 2, 4),
        Outcomes(99, 80, 9, 5, 3, Counter(empty=2)),
        [Wrong("mention", "x:1", "is not stored")],
        START_MS,
        mentions=12,
        dead_letters=2,
        alerts=6,
        not_committed=11,
        brands=1,
        behind=["store has 5 records still to do"],
    )
    command._tell(found, 1)
    told = capsys.readouterr()
    assert told.out.splitlines()[:3] == [
        "brand:acme   2025-10-09T08:53:20Z  recounted 1,007  stored 1,000  -7",
        "and 2 more counts; --limit shows them",
        "mention x:1 is not stored",
    ]
    for text in ("99 read again", "80 counted, 9 duplicates", "2 empty", "50 compared, 3 differ", "before 2025-10-09", "4 windows"):
        assert text in told.out
    assert "store has 5 records" in told.err


def test_times_are_utc_or_epoch_ms_and_windows_start_on_tens_of_seconds() -> None:
    assert command.time_ms("2025-10-09T08:53:20") == command.time_ms("2025-10-09T10:53:20+02:00") == START_MS
    assert command.time_ms(str(START_MS)) == START_MS
    with pytest.raises(argparse.ArgumentTypeError, match="a time like"):
        command.time_ms("yesterday")
    assert Asked(from_ms=START_MS + 1, to_ms=START_MS + 20_000).span == (START_MS + 10_000, START_MS + 20_000)
