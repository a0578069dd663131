"""The demo feed holds what its plan says, and nothing else that surges."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import orjson
import pytest

from agents.feed import Feed, FeedRecord
from agents.feed_broken import BROKEN_REASONS
from agents.feed_plan import ROOM_MS, moment_rate, planting_times
from agents.feed_scenarios import DEMO_BRANDS, SCENARIOS
from schemas.errors import MalformedEvent
from schemas.events import REASONS, Event, decode_event
from schemas.watchlist import decode_brand, encode_brand

START_MS = 1_760_000_000_000
STEP_MS = 500


def _run(feed: Feed, start_ms: int, seconds: int) -> list[FeedRecord]:
    ends = range(start_ms, start_ms + seconds * 1000, STEP_MS)
    return [record for begin_ms in ends for record in feed.step(begin_ms, begin_ms + STEP_MS)]


def _events(records: list[FeedRecord]) -> list[dict[str, object]]:
    return [orjson.loads(record.value) for record in records if not record.key.startswith(b"broken-")]


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def first(seed: int) -> list[FeedRecord]:
        feed = Feed(seed, 200)
        feed.plant(START_MS + 2_000, organic=True)
        return _run(feed, START_MS, 10)

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_records_come_in_order_of_time_and_inside_their_step() -> None:
    feed = Feed(3, 300)
    for begin_ms in range(START_MS, START_MS + 40_000, STEP_MS):
        times = [record.timestamp_ms for record in feed.step(begin_ms, begin_ms + STEP_MS)]
        assert times == sorted(times)
        assert not times or (begin_ms <= times[0] and times[-1] < begin_ms + STEP_MS)


def test_the_planned_number_of_duplicates_is_a_recount_of_ids_seen_before() -> None:
    feed = Feed(4, 300)
    ids = Counter(event["id"] for event in _events(_run(feed, START_MS, 60)))
    assert feed.plan.duplicates == sum(count - 1 for count in ids.values()) > 100


def test_duplicates_are_exact_copies_under_the_same_key() -> None:
    seen: dict[object, tuple[bytes, bytes]] = {}
    for record in _run(Feed(5, 300), START_MS, 30):
        if not record.key.startswith(b"broken-"):
            identifier = orjson.loads(record.value)["id"]
            assert seen.setdefault(identifier, (record.key, record.value)) == (record.key, record.value)


def test_every_kind_of_broken_record_comes_and_is_counted_by_a_reason_of_the_contract() -> None:
    feed = Feed(6, 300)
    records = _run(feed, START_MS, 240)
    assert set(BROKEN_REASONS) <= set(REASONS)
    assert set(feed.plan.dead_letters) == set(BROKEN_REASONS)
    assert feed.plan.dead_letters.total() == sum(record.key.startswith(b"broken-") for record in records)
    assert feed.plan.records == len(records)


def test_every_broken_record_is_refused_for_the_planned_reason_and_nothing_else_is() -> None:
    feed = Feed(6, 300)
    refused: Counter[str] = Counter()
    for record in _run(feed, START_MS, 240):
        try:
            event = decode_event(record.value)
        except MalformedEvent as error:
            refused[error.reason] += 1
        else:
            assert isinstance(event, Event)
            assert event.post_id.encode() == record.key
    assert refused == feed.plan.dead_letters


def test_all_kinds_and_several_platforms_languages_and_unknown_authors_are_there() -> None:
    events = _events(_run(Feed(7, 300), START_MS, 30))
    assert {event.get("kind") for event in events} == {None, "edit", "delete"}
    assert all(any(field in event for event in events) for field in ("reply_to", "repost_of", "quote_of", "community"))
    assert len({event["platform"] for event in events}) == 4
    assert len({event.get("lang") for event in events} - {None}) == 6
    known = sum("author" in event for event in events)
    assert 0.9 < known / len(events) < 0.99


def test_an_edit_or_delete_shares_the_key_of_the_post_it_changes() -> None:
    posts: dict[object, bytes] = {}
    for record in _run(Feed(8, 300), START_MS, 30):
        if record.key.startswith(b"broken-"):
            continue
        event = orjson.loads(record.value)
        if event.get("kind") in ("edit", "delete"):
            assert posts[event["post_id"]] == record.key
        else:
            posts[event["id"]] = record.key


def test_ordinary_talk_holds_no_tag_that_suddenly_surges() -> None:
    per_window: dict[str, Counter[int]] = defaultdict(Counter)
    for record in _run(Feed(9, 300), START_MS, 200):
        for word in record.value.decode("utf-8", "replace").split():
            if word.startswith("#"):
                per_window[word.strip('",')][record.timestamp_ms // 10_000] += 1
    worst = max(
        (max(windows.values()) - sum(windows.values()) / 20) / (sum(windows.values()) / 20 + 4) ** 0.5
        for windows in per_window.values()
    )
    assert len(per_window) > 200
    assert worst < 9  # standard deviations, of some 40,000 cells


@pytest.mark.parametrize("turn", range(len(SCENARIOS.scenarios)))
def test_a_planted_moment_starts_from_nothing_and_comes_from_many_authors_in_many_words(turn: int) -> None:
    feed = Feed(10, 50)
    for _ in range(turn):
        feed.plant(START_MS - 10_000_000, organic=True)
    planted = feed.plant(START_MS + 10_000, organic=True)
    tag = "#" + planted.lead.removeprefix("hashtag:")
    posts = [event for event in _events(_run(feed, START_MS, 50)) if tag in str(event.get("text", "")).lower()]
    own = [event for event in posts if "repost_of" not in event]
    authors = {event["author"] for event in posts if "author" in event}
    assert planted.organic
    assert len(posts) > 60
    assert min(int(str(event["created_ms"])) for event in posts) > START_MS + 10_000 - 200_000
    assert len(authors) > 0.9 * sum("author" in event for event in posts)
    assert len({event["text"] for event in own}) > 0.85 * len(own)


@pytest.mark.parametrize("turn", range(len(SCENARIOS.floods)))
def test_a_flood_comes_from_few_new_accounts_with_nearly_one_text(turn: int) -> None:
    feed = Feed(11, 50)
    for _ in range(turn):
        feed.plant(START_MS - 10_000_000, organic=False)
    planted = feed.plant(START_MS + 5_000, organic=False)
    tag = "#" + planted.lead.removeprefix("hashtag:")
    posts = [
        event
        for event in _events(_run(feed, START_MS, 30))
        if tag in str(event.get("text", "")).lower() and "repost_of" not in event
    ]
    assert not planted.organic
    assert len(posts) > 200
    assert len({event["author"] for event in posts if "author" in event}) <= 4
    assert all(int(str(event["followers"])) < 100 for event in posts[:20] if "followers" in event)


def test_a_moment_ramps_up_holds_and_is_over() -> None:
    rates = [moment_rate(age_ms, 20) for age_ms in (-1, 0, 6_000, 12_000, 26_000, 34_000, 57_999, 58_000)]
    assert rates[:5] == [0, 0, 10, 20, 20]
    assert 5 < rates[5] < 8
    assert 0 < rates[6] < 1
    assert rates[7] == 0


def test_moments_are_planted_apart_from_floods_and_not_into_the_end() -> None:
    times = list(planting_times(1_000_000, 90_000))
    assert [organic for _, organic in times] == [True, False, True, True]
    assert times[-1][0] <= 1_090_000 - ROOM_MS
    gaps = [after[0] - before[0] for before, after in pairwise(times)]
    assert min(gaps) >= 14_000


def test_planted_terms_are_not_words_of_ordinary_talk() -> None:
    feed = Feed(12, 100)
    ordinary = " ".join(record.value.decode("utf-8", "replace").lower() for record in _run(Feed(12, 100), START_MS, 60))
    planted = [feed.plant(START_MS, organic=organic) for organic in (True, False) for _ in range(3)]
    for plan in planted:
        hashtags = [term.removeprefix("hashtag:") for term in plan.terms if term.startswith("hashtag:")]
        assert hashtags
        assert not any(f"#{tag}" in ordinary for tag in hashtags)


def test_the_demo_brands_are_a_valid_watchlist_and_every_scenario_names_one_of_them_or_none() -> None:
    assert tuple(decode_brand(encode_brand(brand)) for brand in DEMO_BRANDS) == DEMO_BRANDS
    ids = {brand.id for brand in DEMO_BRANDS}
    assert {scenario.brand for scenario in SCENARIOS.scenarios} <= ids | {""}
    assert {flood.brand for flood in SCENARIOS.floods} <= ids | {""}
    assert set(SCENARIOS.brand_talk) == ids
    assert all(set(scenario.share) == set(scenario.parts) for scenario in SCENARIOS.scenarios)
