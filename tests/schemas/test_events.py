from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.errors import MalformedEvent
from schemas.events import MAX_EVENT_BYTES, MAX_ID_CHARS, MAX_TEXT_CHARS, REASONS, Event, Skipped, decode_event

RECORDINGS = {"bluesky_keegan_nyt": 8_959, "crisislex_t6": 60_078, "gop_debate_2015": 13_871, "reddit_praw_cassettes": 10_341}
DATA = Path("../shared/data")


def event(**fields: Any) -> Event:
    decoded = decode_event(json.dumps(fields).encode())
    assert isinstance(decoded, Event)
    return decoded


def refusal(data: bytes | None) -> str:
    with pytest.raises(MalformedEvent) as caught:
        decode_event(data)  # type: ignore[arg-type]  # a Kafka record may have no value
    assert caught.value.reason in REASONS
    assert len(caught.value.detail) < 500
    return caught.value.reason


def refused(**fields: Any) -> str:
    return refusal(json.dumps(fields).encode())


def test_an_event_keeps_every_field_the_producer_gave() -> None:
    assert event(
        id="7",
        kind="reply",
        platform="Bluesky",
        post_id="p7",
        text="Hello",
        author="did:1",
        created_ms=1_700_000_000_000,
        lang="en-GB",
        url="https://a.example/7",
        reply_to="6",
        community="a.example",
        tags=["#Fire", "Fire", "smoke"],
        mentions=["@ann"],
        links=["https://b.example/x", "javascript:alert(1)"],
        followers=12,
        author_created_ms=1_600_000_000_000,
        unheard_of={"deep": [1, 2]},
    ) == Event(
        id="7",
        kind="reply",
        platform="bluesky",
        post_id="p7",
        text="Hello",
        author="did:1",
        created_ms=1_700_000_000_000,
        lang="en",
        url="https://a.example/7",
        target_id="6",
        community="a.example",
        tags=("Fire", "smoke"),
        mentions=("ann",),
        links=("https://b.example/x",),
        followers=12,
        author_created_ms=1_600_000_000_000,
    )


def test_an_id_is_all_an_event_needs() -> None:
    assert event(id="7") == Event("7", "post", "unknown", "7")


def test_null_means_absent_in_every_field_but_the_id() -> None:
    nulls = dict.fromkeys(("kind", "platform", "post_id", "text", "author", "created_ms", "created_at", "lang", "url", "reply_to"))
    nulls |= dict.fromkeys(
        ("repost_of", "quote_of", "target_id", "community", "subreddit", "tags", "mentions", "links", "followers")
    )
    assert event(id="7", **nulls) == event(id="7")
    assert refused(id=None, **nulls) == "missing_id"


def test_an_unknown_author_is_unknown_and_not_one_person() -> None:
    assert {event(id="1", author=author).author for author in ("", None)} == {""}


@pytest.mark.parametrize(
    ("expected", "given_id"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", -3),
        ("18446744073709551616", 2**64),
        ("9" * 500, int("9" * 500)),
        ("9007199254740993", 2**53 + 1),
        ("a b", "a b"),
        ("पोस्ट-१", "पोस्ट-१"),
    ],
)
def test_ids_are_kept_to_the_last_digit(expected: str, given_id: Any) -> None:
    assert event(id=given_id).id == expected
    assert event(id="1", reply_to=given_id).target_id == expected
    assert event(id="1", author=given_id).author == expected


@pytest.mark.parametrize(
    "bad", [1.5, 1.0, 1e300, True, [], {}, "a\x00b", "a\nb", "\x7f", "x" * (MAX_ID_CHARS + 1), int("9" * (MAX_ID_CHARS + 1))]
)
@pytest.mark.parametrize("field", ["id", "post_id", "author", "reply_to", "repost_of", "quote_of", "target_id"])
def test_an_id_that_is_none_is_refused_wherever_it_stands(field: str, bad: Any) -> None:
    assert refused(**{"id": "1", field: bad}) == "bad_id"


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (1_366_051_740_000, "2013-04-15T18:49:00Z"),
        (1_366_051_740_000, "2013-04-15T18:49:00"),
        (1_366_051_740_000, "2013-04-15 18:49"),
        (1_366_051_740_000, "2013-04-15T20:49:00+02:00"),
        (1_366_051_740_000, "2013-04-15T14:49:00-0400"),
        (1_366_051_740_957, "2013-04-15T18:49:00.957Z"),
        (1_366_051_740_999, "2013-04-15T18:49:00.999999Z"),
        (1_366_051_740_123, "2013-04-15T18:49:00.123456789Z"),
        (0, "1970-01-01T00:00:00Z"),
        (7_289_654_399_999, "2200-12-31T23:59:59.999Z"),
    ],
)
def test_iso_times_become_epoch_ms_without_rounding_up(expected: int, text: str) -> None:
    assert event(id="1", created_at=text).created_ms == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2013-13-01T00:00:00Z",
        "2013-04-15T18:49:61Z",
        "1969-12-31T23:59:59.999Z",
        "2201-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1" * 100_000,
        5,
        [],
    ],
)
def test_what_is_no_time_of_our_days_is_refused(text: Any) -> None:
    assert refused(id="1", created_at=text) == "bad_time"


@pytest.mark.parametrize("ms", [-1, 7_289_654_400_000, 2**64, 10**400, 1.5, "1366051740000", True])
def test_ms_outside_our_days_are_refused(ms: Any) -> None:
    assert refused(id="1", created_ms=ms) == "bad_time"


def test_created_ms_goes_before_created_at() -> None:
    assert event(id="1", created_ms=5, created_at="2013-04-15T18:49:00Z").created_ms == 5
    assert event(id="1", created_ms=0).created_ms == 0
    assert event(id="1").created_ms is None


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (("post", ""), {}),
        (("reply", "r"), {"reply_to": "r"}),
        (("quote", "q"), {"reply_to": "r", "quote_of": "q"}),
        (("repost", "o"), {"reply_to": "r", "quote_of": "q", "repost_of": "o"}),
        (("repost", ""), {"repost_of_author": "ann"}),
        (("reply", "r"), {"kind": "reply", "reply_to": "r", "quote_of": "q"}),
        (("reply", "t"), {"kind": "reply", "target_id": "t"}),
        (("post", "r"), {"kind": "post", "reply_to": "r"}),
        (("post", ""), {"reply_to": "", "quote_of": "", "repost_of": "", "repost_of_author": ""}),
        (("reply", "0"), {"reply_to": 0}),
    ],
)
def test_kind_and_target_follow_from_what_the_event_points_at(expected: tuple[str, str], fields: dict[str, Any]) -> None:
    decoded = event(id="1", **fields)
    assert (decoded.kind, decoded.target_id) == expected


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (("p#delete", "p"), {"kind": "delete", "id": "p"}),
        (("p#delete", "p"), {"kind": "delete", "post_id": "p"}),
        (("p#delete", "p"), {"kind": "delete", "id": "p", "post_id": "p"}),
        (("d", "p"), {"kind": "delete", "id": "d", "post_id": "p"}),
        (("d", "p"), {"kind": "delete", "id": "d", "target_id": "p"}),
        (("p#edit@5", "p"), {"kind": "edit", "id": "p", "created_ms": 5}),
        (("e", "p"), {"kind": "edit", "id": "e", "post_id": "p", "created_ms": 5}),
        (("1", "p"), {"id": "1", "post_id": "p"}),
        (("p", "p"), {"post_id": "p"}),
    ],
)
def test_an_edit_or_delete_has_an_id_of_its_own_and_the_post_it_is_about(expected: tuple[str, str], fields: dict[str, Any]) -> None:
    decoded = event(**fields)
    assert (decoded.id, decoded.post_id) == expected


def test_edits_without_time_are_told_apart_by_their_text() -> None:
    assert len({event(kind="edit", id="p", text=text).id for text in ("a", "a", "b")}) == 2


def test_the_delete_of_a_post_with_the_longest_id_is_taken() -> None:
    assert event(kind="delete", id="x" * MAX_ID_CHARS).post_id == "x" * MAX_ID_CHARS


def test_a_delete_keeps_no_text() -> None:
    assert event(kind="delete", id="p", text="secret").text == ""


@pytest.mark.parametrize("kind", ["edit", "delete", "repost"])
def test_what_changes_nothing_in_particular_is_refused(kind: str) -> None:
    fields = {"id": "1"} if kind == "repost" else {}
    assert refused(kind=kind, **fields) == "missing_target"


@pytest.mark.parametrize("kind", ["like", "", "POST", "x" * 100_000])
def test_a_kind_we_do_not_know_is_unsupported(kind: str) -> None:
    assert refused(id="1", kind=kind) == "unsupported"


def test_long_text_is_cut_and_odd_characters_stay() -> None:
    assert event(id="1", text="é" * (MAX_TEXT_CHARS + 1)).text == "é" * MAX_TEXT_CHARS
    assert event(id="1", text="a\x00\u202eb\n").text == "a\x00\u202eb\n"


@pytest.mark.parametrize(
    ("expected", "tag"),
    [
        ("en", "en"),
        ("pt", "pt-BR"),
        ("zh", "ZH_hant"),
        ("fil", "fil"),
        ("", "und"),
        ("", "x"),
        ("", "e1"),
        ("", "en" * 20),
        ("", ""),
    ],
)
def test_language_is_the_primary_subtag_or_unknown(expected: str, tag: str) -> None:
    assert event(id="1", lang=tag).lang == expected


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//a.example", "https://a.example/a b", "https://a.example/\n", "https://" + "a" * 3_000]
)
def test_only_plain_web_links_are_kept(url: str) -> None:
    assert event(id="1", url=url, links=[url]) == event(id="1")


def test_decorations_that_make_no_sense_are_dropped_and_the_post_stays() -> None:
    odd = event(
        id="1", platform="a\nb", community="c" * 300, followers=-1, author_created_ms=-5, tags=["#", "", "t" * 300, "a\x00"]
    )
    assert odd == event(id="1")
    assert event(id="1", followers=10**30).followers is None
    assert len(event(id="1", tags=[f"t{i}" for i in range(1_000)]).tags) == 64


def test_reach_and_community_have_a_second_name_each() -> None:
    assert event(id="1", author_followers=0).followers == 0
    assert event(id="1", author_followers=3, followers=0).followers == 0
    assert event(id="1", subreddit="python").community == "r/python"


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("empty", None),
        ("empty", b""),
        ("empty", b" \r\n\t"),
        ("too_large", b'{"id":"' + b"x" * MAX_EVENT_BYTES + b'"}'),
        ("not_utf8", b'{"id":"\xff"}'),
        ("not_utf8", b'{"id":"1","text":"\xed\xa0\x80"}'),
        ("not_utf8", b"\x80\x02}q\x00."),
        ("not_json", b'{"id":"1"'),
        ("not_json", b'{"id":1.5'),
        ("not_json", b'{"id":"1"}{"id":"2"}'),
        ("not_json", b'{"id":"a\x00b"}'),
        ("not_json", b'{"id":"1","text":"\\ud800"}'),
        ("not_json", b'{"id":"1","followers":NaN}'),
        ("not_json", b"[" * 100_000),
        ("not_json", b'{"a":' * 100_000),
        ("not_json", b'{"id":"1","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        ("not_json", b'"\\"' * 300_000),
        ("not_an_event", b"null"),
        ("not_an_event", b"[]"),
        ("not_an_event", b'"id"'),
        ("not_an_event", b'{"id":"1","text":5}'),
        ("not_an_event", b'{"id":"1","tags":"fire"}'),
        ("not_an_event", b'{"id":"1","followers":"12"}'),
        ("missing_id", b"{}"),
        ("missing_id", b'{"id":""}'),
    ],
)
def test_broken_records_are_refused_for_the_stated_reason(expected: str, data: bytes | None) -> None:
    assert refusal(data) == expected


def test_the_limit_of_depth_does_not_depend_on_the_caller() -> None:
    def nested(levels: int) -> bytes:
        return b'{"id":"1","x":' + b"[" * (levels - 1) + b'"[{"' + b"]" * (levels - 1) + b', "pad":"' + b"[" * 500 + b'"}'

    def from_deep_inside(frames: int, data: bytes) -> Event | Skipped:
        return decode_event(data) if frames == 0 else from_deep_inside(frames - 1, data)

    assert from_deep_inside(400, nested(200)) == decode_event(nested(200)) == event(id="1")
    assert refusal(nested(201)) == "not_json"


def test_the_last_of_two_equal_keys_counts() -> None:
    assert decode_event(b'{"id":"1","id":"2"}') == event(id="2")


def test_an_event_written_as_json_reads_as_itself() -> None:
    for fields in ({"reply_to": "5"}, {"kind": "delete"}, {"kind": "edit", "created_ms": 5}, {"tags": ["a"], "followers": 0}):
        decoded = event(id="1", text="é", **fields)
        assert decode_event(msgspec.json.encode(decoded)) == decoded


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recorded_post_is_a_canonical_event(name: str) -> None:
    path = DATA / f"{name}.ndjson.gz"
    if not path.exists():
        pytest.skip(f"recorded posts are not at {path}")
    kinds: Counter[str] = Counter()
    with gzip.open(path) as lines:
        for line in lines:
            decoded = decode_event(line)
            assert isinstance(decoded, Event)
            assert decoded.id
            assert decoded.created_ms is not None
            kinds[decoded.kind] += 1
    assert kinds.total() == RECORDINGS[name]
    assert (
        kinds
        == {
            "bluesky_keegan_nyt": {"post": 8_959},
            "crisislex_t6": {"post": 60_078},
            "gop_debate_2015": {"repost": 7_683, "post": 6_188},
            "reddit_praw_cassettes": {"reply": 6_384, "post": 3_957},
        }[name]
    )
