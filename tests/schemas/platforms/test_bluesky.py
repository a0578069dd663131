from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.platforms.bluesky import decode_bluesky

SEEN_MS = 1_783_175_888_090
POST = "at://did:plc:ann/app.bsky.feed.post/3k"
OTHER = "at://did:plc:bob/app.bsky.feed.post/3j"


def message(operation: str = "create", collection: str = "app.bsky.feed.post", record: Any = None, **fields: Any) -> bytes:
    commit = {"rev": "3rev", "operation": operation, "collection": collection, "rkey": "3k", "cid": "bafy"}
    if record is not None:
        commit["record"] = record
    return json.dumps(
        {"did": "did:plc:ann", "time_us": SEEN_MS * 1000 + 631, "kind": "commit", "commit": commit, **fields}
    ).encode()


def post(**record: Any) -> Event:
    decoded = decode_bluesky(
        message(record={"$type": "app.bsky.feed.post", "createdAt": "2026-07-04T14:38:06.240Z", "text": "", **record})
    )
    assert isinstance(decoded, Event)
    return decoded


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedEvent) as caught:
        decode_bluesky(data)
    return caught.value.reason


def test_a_post_with_tag_mention_and_link_gives_all_three_whole() -> None:
    text = "Ünder fire @bob.example #fire a.example/lon..."
    at = text.encode().index(b"@")
    facets = [
        {
            "features": [{"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:bob"}],
            "index": {"byteStart": at, "byteEnd": at + 12},
        },
        {"features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "fire"}], "index": {"byteStart": 0, "byteEnd": 1}},
        {"features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example/long"}]},
        {
            "features": [{"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:cat"}],
            "index": {"byteStart": -5, "byteEnd": 900},
        },
    ]
    embed = {"$type": "app.bsky.embed.external", "external": {"uri": "https://a.example/card", "title": "t", "description": ""}}
    assert post(text=text, facets=facets, embed=embed, langs=["en-US", "de"], tags=["Feuer"]) == Event(
        POST,
        "post",
        "bluesky",
        POST,
        text=text,
        author="did:plc:ann",
        created_ms=1_783_175_886_240,
        lang="en",
        url="https://bsky.app/profile/did:plc:ann/post/3k",
        tags=("fire", "Feuer"),
        mentions=("bob.example", "did:plc:cat"),
        links=("https://a.example/long", "https://a.example/card"),
    )


@pytest.mark.parametrize(
    ("expected", "record"),
    [
        (("reply", OTHER), {"reply": {"root": {"uri": POST}, "parent": {"uri": OTHER}}}),
        (("quote", OTHER), {"embed": {"$type": "app.bsky.embed.record", "record": {"uri": OTHER, "cid": "b"}}}),
        (
            ("quote", OTHER),
            {"embed": {"record": {"record": {"uri": OTHER}}, "media": {"$type": "app.bsky.embed.images", "images": []}}},
        ),
        (("quote", OTHER), {"embed": {"record": {"uri": OTHER}}, "reply": {"parent": {"uri": POST}}}),
        (("post", ""), {"embed": {"record": {"uri": "at://did:plc:bob/app.bsky.graph.list/1"}}}),
        (
            ("post", ""),
            {"embed": {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": {}}]}, "langs": None, "facets": None},
        ),
    ],
)
def test_replies_and_quotes_say_of_what(expected: tuple[str, str], record: dict[str, Any]) -> None:
    assert (post(**record).kind, post(**record).target_id) == expected


def test_a_quote_with_media_keeps_the_link_of_its_card() -> None:
    embed = {"record": {"record": {"uri": OTHER}}, "media": {"external": {"uri": "https://a.example/card"}}}
    assert post(embed=embed).links == ("https://a.example/card",)


def test_a_repost_is_an_event_of_its_own_about_another_post() -> None:
    record = {"createdAt": "2026-05-25T14:23:27.388Z", "subject": {"cid": "b", "uri": OTHER}}
    own = "at://did:plc:ann/app.bsky.feed.repost/3k"
    expected = Event(own, "repost", "bluesky", own, author="did:plc:ann", created_ms=1_779_719_007_388, target_id=OTHER)
    assert decode_bluesky(message(collection="app.bsky.feed.repost", record=record)) == expected
    assert refusal(message(collection="app.bsky.feed.repost", record={})) == "missing_target"


def test_a_delete_carries_only_the_uri_of_the_post() -> None:
    expected = Event(f"{POST}#delete", "delete", "bluesky", POST, author="did:plc:ann", created_ms=SEEN_MS)
    assert decode_bluesky(message("delete")) == expected


def test_an_update_is_an_edit_of_the_same_post_at_the_time_it_was_seen() -> None:
    decoded = decode_bluesky(message("update", record={"text": "b", "createdAt": "2026-07-04T14:38:06.240Z"}))
    assert isinstance(decoded, Event)
    assert (decoded.id, decoded.kind, decoded.post_id, decoded.created_ms) == (f"{POST}#edit@3rev", "edit", POST, SEEN_MS)


@pytest.mark.parametrize("created_at", ["", "0000-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "soon", None])
def test_the_servers_clock_stands_in_where_the_client_has_none(created_at: str | None) -> None:
    assert post(createdAt=created_at).created_ms == SEEN_MS


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("like", message(collection="app.bsky.feed.like", record={"subject": {"uri": OTHER}})),
        ("follow", message(collection="app.bsky.graph.follow", record={"subject": "did:plc:bob"})),
        ("follow", message("delete", collection="app.bsky.graph.follow")),
        ("other record", message("update", collection="place.stream.origin", record=[{"text": 5}])),
        ("identity", b'{"did":"d","time_us":1,"kind":"identity","identity":{"did":"d"}}'),
        ("account", b'{"did":"d","time_us":1,"kind":"account","account":{"active":false}}'),
    ],
)
def test_what_is_no_post_is_skipped_by_name(expected: str, data: bytes) -> None:
    assert decode_bluesky(data) == Skipped(expected)


def test_frames_of_the_second_jetstream_read_the_same() -> None:
    payload = {
        "$type": "network.bsky.jetstream.subscribeEvents#commit",
        "did": "did:plc:ann",
        "time": "2026-07-04T14:38:08.090Z",
        "rev": "3rev",
        "operation": "delete",
        "collection": "app.bsky.feed.post",
        "rkey": "3k",
    }
    frame = {"$type": "message", "payload": payload}
    assert decode_bluesky(json.dumps(frame).encode()) == decode_bluesky(message("delete"))
    payload["$type"] = "network.bsky.jetstream.subscribeEvents#identity"
    assert decode_bluesky(json.dumps(frame).encode()) == Skipped("identity")
    payload["$type"] = "else"
    assert refusal(json.dumps(frame).encode()) == "not_an_event"


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("unsupported", b'{"did":"d","time_us":1,"type":"com","commit":{"type":"c","collection":"app.bsky.feed.post","rkey":"r"}}'),
        ("not_an_event", message("create")),
        ("not_an_event", message("move", record={})),
        ("not_an_event", message(kind="else")),
        ("not_an_event", message(record={"text": 5})),
        ("not_an_event", message(record={"facets": {}})),
        ("missing_id", message(did="", record={"text": "a"})),
        ("bad_id", message(did="d\n", record={"text": "a"})),
        ("bad_time", message("delete", time_us=-1)),
        ("bad_time", message(record={"createdAt": 5})),
    ],
)
def test_broken_messages_are_refused_for_the_stated_reason(expected: str, data: bytes) -> None:
    assert refusal(data) == expected
