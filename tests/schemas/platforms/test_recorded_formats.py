"""Every payload of ../shared/data/formats, one outcome each: the kind of the event, "skipped: why", or the reason of refusal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import MalformedEvent
from schemas.events import Event
from schemas.platforms import Decoder, decoder

FORMATS = Path("../shared/data/formats")
pytestmark = pytest.mark.skipif(not FORMATS.is_dir(), reason=f"recorded payloads are not at {FORMATS}")

PLATFORMS = {
    "bluesky_jetstream": "bluesky",
    "mastodon_streaming": "mastodon",
    "x_v11_tweet": "x",
    "x_v2_filtered_stream": "x",
    "reddit": "reddit",
    "activitystreams2": "canonical",
    "hackernews_item": "canonical",
    "youtube_comment": "canonical",
}
EXPECTED = {
    "bluesky_jetstream": [
        "skipped: like",
        *["post"] * 2,
        *["reply"] * 2,
        "post",
        "delete",
        "post",
        *["skipped: like"] * 2,
        "repost",
        "skipped: follow",
        "skipped: profile",
        *["skipped: other record"] * 2,
        "skipped: identity",
        "skipped: account",
        "skipped: block",
        *["skipped: like"] * 2,
        *["unsupported"] * 4,  # the wire of before the first release
    ],
    "mastodon_streaming": [  # what is inside the frame, without the frame
        "not_an_event",
        "reply",
        *["not_an_event"] * 5,
        "post",
        "not_an_event",
        "post",
        "not_an_event",
        "post",
        *["not_an_event"] * 2,
        "reply",
        "delete",
        "skipped: filters_changed",
        "post",
        "not_an_event",
    ],
    "x_v11_tweet": [
        "repost",
        "post",
        *["reply"] * 2,
        "skipped: compliance",
        "delete",
        *["skipped: compliance"] * 11,
        "skipped: unlike",
        "delete",
        "skipped: limit",
    ],
    "x_v2_filtered_stream": ["post", "edit", "skipped: error", "post", "repost", "post"],
    "reddit": ["reply", *["delete"] * 3, *["post"] * 2, "reply"],
    "activitystreams2": [*["missing_id"] * 9, *["post"] * 2, *["missing_id"] * 4],  # two notes with an id of their own
    "hackernews_item": ["post"] * 6,
    "youtube_comment": ["unsupported"] * 2,  # `kind` says so
}
EXPECTED_FRAMES = [
    "unsupported",
    "reply",
    "skipped: notification",
    "skipped: filters_changed",
    "skipped: announcement",
    "skipped: announcement.reaction",
    "skipped: announcement.delete",
    "edit",
    "skipped: notification",
    "post",
    "delete",
    "edit",
    "delete",
    "skipped: conversation",
    "skipped: heartbeat",
]
EDGE_CASES = {  # how many of each this suite was written against; a new one wants a look
    "bluesky_jetstream": 12,
    "mastodon_streaming": 9,
    "x_v11_tweet": 7,
    "x_v2_filtered_stream": 7,
    "reddit": 6,
    "activitystreams2": 5,
    "hackernews_item": 5,
    "youtube_comment": 4,
}


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FORMATS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def outcome(decode: Decoder, data: bytes) -> str:
    try:
        decoded = decode(data)
    except MalformedEvent as error:
        return error.reason
    return decoded.kind if isinstance(decoded, Event) else f"skipped: {decoded.reason}"


def event(name: str, index: int) -> Event:
    decoded = decoder(PLATFORMS[name])(json.dumps(load(name)["payloads"][index]["payload"]).encode())
    assert isinstance(decoded, Event)
    return decoded


def test_no_format_is_left_out() -> None:
    assert {path.stem for path in FORMATS.glob("*.json")} == set(PLATFORMS) == set(EXPECTED) == set(EDGE_CASES)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_payload_decodes_or_is_refused_for_a_stated_reason(name: str) -> None:
    decode = decoder(PLATFORMS[name])
    content = load(name)
    assert [outcome(decode, json.dumps(item["payload"]).encode()) for item in content["payloads"]] == EXPECTED[name]
    assert len(content["edge_cases"]) == EDGE_CASES[name]


def test_every_frame_of_mastodons_stream_decodes_or_is_refused_for_a_stated_reason() -> None:
    frames = [item["wire"].encode() for item in load("mastodon_streaming")["payloads"] if "wire" in item]
    assert [outcome(decoder("mastodon"), frame) for frame in frames] == EXPECTED_FRAMES


def test_consecutive_events_of_jetstream_are_all_read() -> None:
    lines = (FORMATS / "bluesky_jetstream_recorded.jsonl").read_bytes().splitlines()
    assert Counter(outcome(decoder("bluesky"), line) for line in lines) == {
        "post": 9,
        "reply": 8,
        "repost": 15,
        "delete": 1,
        "skipped: like": 105,
        "skipped: follow": 9,
        "skipped: block": 1,
        "skipped: other record": 2,
        "skipped: identity": 1,
        "skipped: account": 1,
    }


def test_bluesky_shows_links_shortened_and_the_facet_has_them_whole() -> None:
    post = event("bluesky_jetstream", 1)
    assert post.text == "www.youtube.com/watch?v=V5lD..."
    assert post.links == ("https://www.youtube.com/watch?v=V5lDo-jw8mA",)
    assert event("bluesky_jetstream", 7).created_ms == 1_783_175_882_000  # "+00:00" in place of "Z"
    assert event("bluesky_jetstream", 5).lang == ""


def test_mastodons_html_reads_as_text_with_whole_links() -> None:
    edit = decoder("mastodon")(load("mastodon_streaming")["payloads"][11]["wire"].encode())
    assert isinstance(edit, Event)
    lines = edit.text.splitlines()
    assert lines[0] == "#musicTuesday"
    assert (lines[-1],) == edit.links == ("https://cstudios.bandcamp.com/track/celestia-gravity-assist-no-19-var-2",)
    assert edit.tags == ("MUSICTUESDAY", "piano", "neoclassical", "jazz")
    assert edit.created_ms == 1_668_528_643_000  # edited_at, not created_at


def test_x_times_come_to_the_millisecond_and_ids_to_the_last_digit() -> None:
    retweet = event("x_v11_tweet", 0)
    assert (retweet.created_ms, retweet.target_id) == (1_408_912_822_813, "503588689474510849")
    assert retweet.text == load("x_v11_tweet")["payloads"][0]["payload"]["retweeted_status"]["text"]
    assert event("x_v11_tweet", 5).post_id == "601430178305220608"  # `id` beside it lost a digit


def test_an_x_repost_shows_the_whole_text_unescaped() -> None:
    whole = load("x_v2_filtered_stream")["payloads"][4]["payload"]["includes"]["tweets"][1]["text"]
    assert "&amp;" in whole
    assert event("x_v2_filtered_stream", 4).text == whole.replace("&amp;", "&")
    assert event("x_v2_filtered_stream", 1).post_id == "1234567890"


def test_a_reddit_comment_that_was_deleted_is_a_delete() -> None:
    assert event("reddit", 2) == Event("t1_d1616q2#delete", "delete", "reddit", "t1_d1616q2")
    assert event("reddit", 6).url.endswith("/comments/59k22p/hey_its_reddits_totally_politically_neutral_ceo/d9954zj/")
