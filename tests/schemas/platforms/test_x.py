from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.platforms.x import decode_x

ID = "1620858830937812995"  # made at 2023-02-01T18:57:14.402Z
MADE_MS = (int(ID) >> 22) + 1_288_834_974_657


def decoded(**message: Any) -> Event:
    event = decode_x(json.dumps(message).encode())
    assert isinstance(event, Event)
    return event


def v2(includes: dict[str, Any] | None = None, **data: Any) -> Event:
    message = {"data": {"id": ID, "text": "hi", "edit_history_tweet_ids": [ID], **data}, "matching_rules": [{"id": "1", "tag": ""}]}
    return decoded(**message, **({"includes": includes} if includes else {}))


def v1(**fields: Any) -> Event:
    return decoded(**{"id": int(ID), "id_str": ID, "text": "hi", "created_at": "Wed Feb 01 18:57:14 +0000 2023", **fields})


def refusal(**message: Any) -> str:
    with pytest.raises(MalformedEvent) as caught:
        decode_x(json.dumps(message).encode())
    return caught.value.reason


def test_a_v2_post_with_its_expansions() -> None:
    user = {
        "id": "5",
        "username": "ann",
        "created_at": "2009-06-18T17:05:52.000Z",
        "public_metrics": {"followers_count": 71, "x": 1},
    }
    entities = {
        "hashtags": [{"start": 0, "end": 5, "tag": "fire"}],
        "mentions": [{"start": 0, "end": 5, "username": "bob", "id": "6"}],
        "urls": [
            {"url": "https://t.co/1", "expanded_url": "https://a.example/1", "unwound_url": "https://b.example/1"},
            {"url": "https://t.co/2"},
        ],
    }
    assert v2(
        {"users": [{"id": "4", "username": "eve"}, user]},
        text="a &lt; b &amp;amp; c",
        author_id="5",
        created_at="2023-02-01T18:57:14.000Z",
        lang="en",
        entities=entities,
    ) == Event(
        ID,
        "post",
        "x",
        ID,
        text="a < b &amp; c",
        author="5",
        created_ms=1_675_277_834_000,
        lang="en",
        url=f"https://x.com/ann/status/{ID}",
        tags=("fire",),
        mentions=("bob",),
        links=("https://b.example/1",),
        followers=71,
        author_created_ms=1_245_344_752_000,
    )


def test_id_and_text_are_enough_and_the_id_tells_the_time() -> None:
    assert decoded(data={"id": ID, "text": "hi"}) == Event(
        ID, "post", "x", ID, "hi", created_ms=MADE_MS, url=f"https://x.com/i/status/{ID}"
    )
    assert decoded(data={"id": "1234567890", "text": "hi"}).created_ms is None


@pytest.mark.parametrize(
    ("expected", "types"),
    [
        (("repost", "1"), ["retweeted"]),
        (("quote", "2"), ["replied_to", "quoted"]),
        (("reply", "1"), ["replied_to"]),
        (("post", ""), ["admired"]),
    ],
)
def test_referenced_posts_make_the_kind(expected: tuple[str, str], types: list[str]) -> None:
    event = v2(referenced_tweets=[{"type": type_, "id": str(i)} for i, type_ in enumerate(types, 1)])
    assert (event.kind, event.target_id) == expected


def test_a_repost_shows_the_whole_text_where_the_expansions_bring_it() -> None:
    references = [{"type": "retweeted", "id": "9"}]
    whole = {"id": "9", "text": "cut", "note_tweet": {"text": "the whole of it", "entities": {"hashtags": [{"tag": "t"}]}}}
    event = v2({"tweets": [{"id": ID, "text": "RT"}, whole]}, text="RT @bob: the wh…", referenced_tweets=references)
    assert (event.kind, event.text, event.tags) == ("repost", "the whole of it", ("t",))
    assert v2(text="RT @bob: the wh…", referenced_tweets=references).text == "RT @bob: the wh…"


def test_a_long_post_is_its_note() -> None:
    assert v2(text="short…", note_tweet={"text": "the whole of it"}).text == "the whole of it"


def test_an_edit_belongs_to_the_first_post_of_its_history() -> None:
    edit = v2(edit_history_tweet_ids=["1620858830937812000", ID])
    assert (edit.id, edit.kind, edit.post_id) == (ID, "edit", "1620858830937812000")


def test_a_v11_tweet_with_everything_inside() -> None:
    user = {"id": 5, "id_str": "5", "screen_name": "ann", "followers_count": 71, "created_at": "Thu Jun 18 17:05:52 +0000 2009"}
    entities = {
        "hashtags": [{"text": "fire"}],
        "user_mentions": [{"screen_name": "bob"}],
        "urls": [{"expanded_url": "https://a.example/1"}],
    }
    extended = {"full_text": "whole &amp; good", "entities": entities}
    assert v1(user=user, lang="und", truncated=True, extended_tweet=extended) == Event(
        ID,
        "post",
        "x",
        ID,
        text="whole & good",
        author="5",
        created_ms=MADE_MS,
        url=f"https://x.com/ann/status/{ID}",
        tags=("fire",),
        mentions=("bob",),
        links=("https://a.example/1",),
        followers=71,
        author_created_ms=1_245_344_752_000,
    )


def test_the_id_refines_the_time_only_where_both_agree() -> None:
    assert v1(created_at="Wed Feb 01 18:59:14 +0000 2023").created_ms == 1_675_277_954_000
    assert v1(id=5, id_str="5").created_ms == 1_675_277_834_000


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (("reply", "8"), {"in_reply_to_status_id": 7, "in_reply_to_status_id_str": "8"}),
        (("reply", "7"), {"in_reply_to_status_id": 7}),
        (("quote", "7"), {"quoted_status_id_str": "7", "in_reply_to_status_id": 8}),
        (("repost", "7"), {"retweeted_status": {"id": 7, "full_text": "theirs"}}),
    ],
)
def test_v11_says_of_what_in_fields_of_their_own(expected: tuple[str, str], fields: dict[str, Any]) -> None:
    assert (v1(**fields).kind, v1(**fields).target_id) == expected


def test_a_v11_retweet_shows_the_original_words() -> None:
    assert v1(text="RT @bob: the…", retweeted_status={"id": 7, "full_text": "theirs"}).text == "theirs"


@pytest.mark.parametrize(
    ("expected_ms", "notice"),
    [
        (1_432_228_155_593, {"status": {"id": 7, "id_str": "8", "user_id": 5}, "timestamp_ms": "1432228155593"}),
        (1_432_228_155_593, {"status": {"id": 8, "user_id_str": "5"}, "timestamp_ms": 1432228155593}),
        (1_657_132_840_000, {"tweet": {"id": "8", "author_id": "5"}, "event_at": "2022-07-06T18:40:40.000Z"}),
        (None, {"status": {"id_str": "8", "user_id": 5}}),
    ],
)
def test_a_delete_notice_removes_its_post(expected_ms: int | None, notice: dict[str, Any]) -> None:
    expected = Event("8#delete", "delete", "x", "8", author="5", created_ms=expected_ms)
    assert decoded(delete=notice) == expected
    assert decoded(data={"delete": notice}) == expected


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("unlike", {"delete": {"favorite": {"tweet_id": 1}}}),
        ("limit", {"limit": {"track": 100}}),
        ("error", {"errors": [{"title": "operational-disconnect"}]}),
        ("compliance", {"scrub_geo": {"user_id": 5}}),
        ("compliance", {"data": {"drop": {"tweet": {"id": "8"}}}}),
        ("compliance", {"tweet_edit": {"id": "2", "initial_tweet_id": "1"}}),
    ],
)
def test_other_notices_are_skipped_by_name(expected: str, message: dict[str, Any]) -> None:
    assert decode_x(json.dumps(message).encode()) == Skipped(expected)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("missing_id", {"data": {"text": "hi"}}),
        ("missing_id", {"id": "", "text": "hi"}),
        ("not_an_event", {"data": {"id": ID}}),
        ("not_an_event", {"id": 5}),
        ("not_an_event", {"data": [{"id": ID, "text": "hi"}]}),
        ("not_an_event", {}),
        ("missing_target", {"delete": {"status": {}}}),
        ("missing_target", {"data": {"id": ID, "text": "RT", "referenced_tweets": [{"type": "retweeted"}]}}),
        ("missing_target", {"id": 5, "text": "RT", "retweeted_status": {"text": "a"}}),
        ("bad_id", {"data": {"id": 1.5, "text": "hi"}}),
        ("bad_id", {"id_str": "5\n", "text": "hi"}),
        ("bad_time", {"data": {"id": ID, "text": "hi", "created_at": "soon"}}),
        ("bad_time", {"id": 5, "text": "hi", "created_at": "Wed Foo 01 18:57:14 +0000 2023"}),
        ("bad_time", {"id": 5, "text": "hi", "created_at": "Wed Feb 31 18:57:14 +0000 2023"}),
        ("bad_time", {"id": 5, "text": "hi", "created_at": "Wed Feb 01 18:57 +0000 2023"}),
        ("bad_time", {"id": 5, "text": "hi", "created_at": "Wed Feb 01 18:57:14 +0000 1923"}),
    ],
)
def test_broken_messages_are_refused_for_the_stated_reason(expected: str, message: dict[str, Any]) -> None:
    assert refusal(**message) == expected
