from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.platforms.mastodon import decode_mastodon

URI = "https://m.example/users/ann/statuses/9"
ACCOUNT = {"id": "42", "acct": "ann@m.example", "followers_count": 37, "created_at": "2018-08-18T00:00:00.000Z", "bot": False}


def status(**fields: Any) -> dict[str, Any]:
    return {"id": "7", "uri": URI, "url": "https://m.example/@ann/9", "content": "<p>hi</p>", "account": ACCOUNT, **fields}


def frame(event: str, payload: Any) -> bytes:
    return json.dumps({"stream": ["public"], "event": event, "payload": payload}).encode()


def update(**fields: Any) -> Event:
    decoded = decode_mastodon(frame("update", json.dumps(status(**fields))))
    assert isinstance(decoded, Event)
    return decoded


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedEvent) as caught:
        decode_mastodon(data)
    return caught.value.reason


def test_a_status_reads_as_its_author_wrote_it() -> None:
    link = '<a href="https://a.example/x"><span class="invisible">https://</span>a.example/x</a>'
    content = f'<p>See {link} <a class="mention hashtag" href="https://m.example/t">#<span>Fire</span></a> &amp; more</p>'
    assert update(
        content=content,
        spoiler_text="news",
        created_at="2022-08-30T23:05:46.839Z",
        language="en",
        visibility="unlisted",
        tags=[{"name": "fire", "url": "u"}],
        mentions=[{"id": "1", "username": "bob", "acct": "bob@b.example"}],
        card={"url": "https://a.example/x"},
    ) == Event(
        URI,
        "post",
        "mastodon",
        "7",
        text="news\nSee https://a.example/x #Fire & more",
        author="42",
        created_ms=1_661_900_746_839,
        lang="en",
        url="https://m.example/@ann/9",
        community="m.example",
        tags=("fire",),
        mentions=("bob@b.example",),
        links=("https://a.example/x",),
        followers=37,
        author_created_ms=1_534_550_400_000,
    )


def test_envelope_frame_and_bare_status_are_one_and_the_same() -> None:
    bare = json.dumps(status()).encode()
    frames = [bare, frame("update", status()), b"event: update\ndata: " + bare + b"\n\n", b"event:update\r\ndata:" + bare + b"\r\n"]
    assert {decode_mastodon(data) for data in frames} == {update()}


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (("reply", "5"), {"in_reply_to_id": "5"}),
        (("quote", "6"), {"quote": {"state": "accepted", "quoted_status": {"id": "6"}}, "in_reply_to_id": "5"}),
        (("quote", "6"), {"quote": {"state": "pending", "quoted_status_id": "6"}}),
        (("post", ""), {"quote": {"state": "deleted", "quoted_status": None}}),
        (("repost", "8"), {"reblog": {"id": "8", "content": "<p>theirs</p>"}, "content": ""}),
    ],
)
def test_replies_quotes_and_boosts_say_of_what(expected: tuple[str, str], fields: dict[str, Any]) -> None:
    assert (update(**fields).kind, update(**fields).target_id) == expected


def test_a_boost_shows_the_words_of_the_post_it_boosts() -> None:
    boosted = update(
        content="",
        reblog={"id": "8", "content": "<p>theirs</p>", "language": "de", "tags": [{"name": "t"}], "url": "https://b.example/8"},
    )
    assert (boosted.text, boosted.lang, boosted.tags, boosted.url) == ("theirs", "de", ("t",), "https://b.example/8")
    assert (boosted.id, boosted.post_id, boosted.author) == (URI, "7", "42")
    assert refusal(json.dumps(status(reblog={"content": "x"})).encode()) == "missing_target"


def test_an_edit_belongs_to_the_time_it_was_made() -> None:
    fields = {"created_at": "2022-11-15T16:06:48.410Z", "edited_at": "2022-11-15T16:07:29.023Z", "in_reply_to_id": "5"}
    decoded = decode_mastodon(frame("status.update", json.dumps(status(**fields))))
    assert isinstance(decoded, Event)
    assert (decoded.id, decoded.kind, decoded.post_id) == (f"{URI}#edit@1668528449023", "edit", "7")
    assert (decoded.created_ms, decoded.target_id) == (1_668_528_449_023, "5")


@pytest.mark.parametrize(
    "data",
    [frame("delete", "106692867363994015"), frame("delete", 106692867363994015), b"event: delete\ndata: 106692867363994015\n\n"],
)
def test_a_delete_is_the_instances_own_id_and_nothing_else(data: bytes) -> None:
    assert decode_mastodon(data) == Event("106692867363994015#delete", "delete", "mastodon", "106692867363994015")


@pytest.mark.parametrize(
    ("expected", "account"),
    [("m.example", {"acct": "ann"}), ("b.example", {"acct": "ann@B.example"}), ("m.example", {})],
)
def test_the_community_is_the_authors_instance(expected: str, account: dict[str, Any]) -> None:
    assert update(account=account).community == expected


def test_an_author_without_id_is_the_handle_and_without_both_unknown() -> None:
    assert update(account={"acct": "ann@m.example"}).author == "ann@m.example"
    assert update(account={}).author == ""


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("heartbeat", b":thump\n"),
        ("heartbeat", b":)\n\n"),
        ("filters_changed", b"event: filters_changed\ndata: undefined\n\n"),
        ("filters_changed", b'{"stream":["user"],"event":"filters_changed"}'),
        ("notification", frame("notification", "{}")),
        ("private", json.dumps(status(visibility="private")).encode()),
        ("private", json.dumps(status(visibility="direct")).encode()),
    ],
)
def test_what_was_not_said_in_public_is_skipped_by_name(expected: str, data: bytes) -> None:
    assert decode_mastodon(data) == Skipped(expected)


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("unsupported", frame("encrypted_message", "{}")),
        ("missing_target", frame("delete", "")),
        ("missing_target", frame("delete", {"id": "1"})),
        ("bad_id", frame("delete", "1\n2")),
        ("not_an_event", frame("update", "")),
        ("not_an_event", frame("update", "[]")),
        ("not_json", frame("update", "{")),
        ("not_an_event", b'{"stream":["public"],"event":"update"}'),
        ("not_an_event", b'{"id":"1","content":"<p>an announcement</p>"}'),
        ("missing_id", json.dumps(status(id=None)).encode()),
        ("bad_id", json.dumps(status(id=1.5)).encode()),
        ("bad_time", json.dumps(status(created_at="soon")).encode()),
    ],
)
def test_broken_messages_are_refused_for_the_stated_reason(expected: str, data: bytes) -> None:
    assert refusal(data) == expected
