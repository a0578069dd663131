from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.platforms.reddit import decode_reddit

COMMENT: dict[str, Any] = {
    "id": "cklhv0f",
    "name": "t1_cklhv0f",
    "author": "bboe",
    "body": "Yes &gt; no",
    "subreddit": "redditdev",
    "link_id": "t3_2gmzqe",
}
COMMENT |= {"parent_id": "t1_cklfmye", "created_utc": 1411010034.0, "edited": False, "score": 1, "replies": ""}
LINK: dict[str, Any] = {
    "id": "bn2luj",
    "name": "t3_bn2luj",
    "author": "ann",
    "author_fullname": "t2_1",
    "title": "News",
    "selftext": "",
    "is_self": False,
}
LINK |= {"url": "https://github.com/praw-dev/praw", "permalink": "/r/test/comments/bn2luj/news/", "created_utc": 1557516470.5}


def thing(kind: str, base: dict[str, Any], **fields: Any) -> Event:
    decoded = decode_reddit(json.dumps({"kind": kind, "data": {**base, **fields}}).encode())
    assert isinstance(decoded, Event)
    return decoded


def refusal(message: dict[str, Any]) -> str:
    with pytest.raises(MalformedEvent) as caught:
        decode_reddit(json.dumps(message).encode())
    return caught.value.reason


def test_a_comment_is_a_reply_in_its_subreddit() -> None:
    assert thing("t1", COMMENT) == Event(
        "t1_cklhv0f",
        "reply",
        "reddit",
        "t1_cklhv0f",
        text="Yes > no",
        author="bboe",
        created_ms=1_411_010_034_000,
        url="https://www.reddit.com/comments/2gmzqe/_/cklhv0f",
        target_id="t1_cklfmye",
        community="r/redditdev",
    )


def test_a_link_submission_gives_its_link_and_permalink() -> None:
    assert thing("t3", LINK) == Event(
        "t3_bn2luj",
        "post",
        "reddit",
        "t3_bn2luj",
        text="News",
        author="t2_1",
        created_ms=1_557_516_470_500,
        url="https://www.reddit.com/r/test/comments/bn2luj/news/",
        links=("https://github.com/praw-dev/praw",),
    )


def test_a_self_submission_is_title_and_text_without_a_link_to_itself() -> None:
    post = thing("t3", LINK, is_self=True, selftext="Body", url="https://www.reddit.com/r/test/comments/bn2luj/news/")
    assert (post.text, post.links) == ("News\n\nBody", ())


def test_a_bare_thing_reads_like_a_wrapped_one() -> None:
    assert decode_reddit(json.dumps(COMMENT).encode()) == thing("t1", COMMENT)


def test_a_crosspost_quotes_the_first_post() -> None:
    post = thing("t3", LINK, crosspost_parent="t3_abc")
    assert (post.kind, post.target_id) == ("quote", "t3_abc")


def test_an_edited_comment_is_an_edit_at_the_time_of_its_change() -> None:
    edit = thing("t1", COMMENT, edited=1458444463.0)
    assert (edit.id, edit.kind, edit.post_id) == ("t1_cklhv0f#edit@1458444463000", "edit", "t1_cklhv0f")
    assert edit.created_ms == 1_458_444_463_000


def test_an_edit_of_unknown_time_is_told_by_its_text() -> None:
    first, second = (thing("t1", COMMENT, edited=True, body=body) for body in ("a", "b"))
    assert first.id != second.id
    assert first.created_ms == 1_411_010_034_000


@pytest.mark.parametrize("body", ["[deleted]", "[removed]"])
def test_a_text_taken_away_is_the_delete_that_reddit_never_sends(body: str) -> None:
    assert thing("t1", COMMENT, author="[deleted]", body=body, edited=1458444463.0) == Event(
        "t1_cklhv0f#delete", "delete", "reddit", "t1_cklhv0f"
    )
    assert thing("t3", LINK, selftext=body).kind == "delete"
    assert thing("t3", LINK, removed_by_category="moderator").kind == "delete"


@pytest.mark.parametrize("author", ["[deleted]", None, ""])
def test_a_post_whose_author_left_has_an_unknown_author(author: str | None) -> None:
    post = thing("t1", COMMENT, author=author)
    assert (post.kind, post.author, post.text) == ("reply", "", "Yes > no")


@pytest.mark.parametrize(("expected", "kind"), [("more", "more"), ("other thing", "t5"), ("other thing", "t2")])
def test_what_is_no_post_is_skipped_by_name(expected: str, kind: str) -> None:
    assert decode_reddit(json.dumps({"kind": kind, "data": {"id": "x", "children": ["a"]}}).encode()) == Skipped(expected)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("unsupported", {"kind": "Listing", "data": {"children": []}}),
        ("not_an_event", {"kind": "t1"}),
        ("not_an_event", {"kind": "t1", "data": []}),
        ("not_an_event", {"id": "x"}),
        ("not_an_event", {"kind": "t1", "data": {"id": "x"}}),
        ("missing_id", {"kind": "t1", "data": {"body": "x"}}),
        ("bad_id", {"kind": "t1", "data": {"id": 1.5, "body": "x"}}),
        ("bad_time", {"kind": "t1", "data": {"id": "x", "body": "x", "created_utc": -5}}),
        ("bad_time", {"kind": "t1", "data": {"id": "x", "body": "x", "created_utc": 1e300}}),
        ("bad_time", {"kind": "t1", "data": {"id": "x", "body": "x", "created_utc": "1"}}),
        ("bad_time", {"kind": "t1", "data": {"id": "x", "body": "x", "edited": 1e12}}),
    ],
)
def test_broken_things_are_refused_for_the_stated_reason(expected: str, message: dict[str, Any]) -> None:
    assert refusal(message) == expected
