"""The promise of every decoder: an Event, Skipped, or MalformedEvent with a known reason; nothing else, whatever the bytes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, MalformedEvent
from schemas.events import MAX_TEXT_CHARS, REASONS, Event, Skipped
from schemas.platforms import DECODERS, decoder

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SEEDS = [
    b'{"id":"1","text":"hi","created_at":"2013-04-15T18:49:00Z","tags":["a"],"reply_to":3,"author":null}',
    b'{"did":"d","time_us":1,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"r",'
    b'"record":{"text":"a","createdAt":"2026-07-04T14:38:06.240Z","langs":["en"],"facets":[{"features":[{"$type":"x#tag","tag":"t"}],'
    b'"index":{"byteStart":0,"byteEnd":9}}]}}}',
    b'{"event":"update","payload":"{\\"id\\":\\"1\\",\\"content\\":\\"<p>a</p>\\",\\"account\\":{\\"id\\":1}}"}',
    b'event: update\ndata: {"id":"1","content":"<a href=x>&lt;","account":{},"reblog":{"id":3,"content":"<b"}}\n\n',
    b'{"data":{"id":"1620858830937812995","text":"a","referenced_tweets":[{"type":"retweeted","id":"2"}]},"includes":{"users":[]}}',
    b'{"id_str":"503642998832242689","text":"a","created_at":"Sun Aug 24 20:40:22 +0000 2014","user":{"id":5},'
    b'"entities":{"urls":[]}}',
    b'{"delete":{"status":{"id":1},"timestamp_ms":"1432228155593"}}',
    b'{"kind":"t1","data":{"name":"t1_a","body":"b","created_utc":1411010034.0,"edited":1458444463.5,"parent_id":"t3_b"}}',
]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 2**64, 10**400, 1.5, 1e300, "", "\x00", "\ud800", "x" * 600, "0001-01-01", "9" * 30, [], {}, [None], [[]]]
)


def keeps_the_promise(data: bytes) -> None:
    for decode in DECODERS.values():
        try:
            decoded = decode(data)
        except MalformedEvent as error:
            assert error.reason in REASONS
            error.detail.encode()
        else:
            assert isinstance(decoded, Event | Skipped)
            msgspec.json.encode(decoded)
            if isinstance(decoded, Event):
                assert decoded.id
                assert decoded.post_id
                assert len(decoded.text) <= MAX_TEXT_CHARS
                assert decoded.created_ms is None or 0 <= decoded.created_ms < 7_289_654_400_000


@FUZZ
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_malformed_event(data: bytes) -> None:
    keeps_the_promise(data)


@FUZZ
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3), st.integers(0, 3)), max_size=5))
def test_mutated_payloads_raise_nothing_but_malformed_event(seed: bytes, cuts: list[tuple[int, bytes, int]]) -> None:
    for position, new, removed in cuts:
        seed = seed[:position] + new + seed[position + removed :]
    keeps_the_promise(seed)


@FUZZ
@given(st.data())
def test_payloads_with_odd_values_raise_nothing_but_malformed_event(data: st.DataObject) -> None:
    payload = json.loads(data.draw(st.sampled_from([seed for seed in SEEDS if seed.startswith(b"{")])))
    node = payload
    while isinstance(node, dict | list) and node:
        key: Any = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        if not isinstance(node[key], dict | list) or data.draw(st.booleans()):
            node[key] = data.draw(ODD)
            break
        node = node[key]
    keeps_the_promise(json.dumps(payload).encode())


@FUZZ
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "kind", "data", "commit", "event", "payload", "delete", "text", "created_at"]), inner
            )
        ),
        max_leaves=15,
    )
)
def test_random_json_raises_nothing_but_malformed_event(value: Any) -> None:
    keeps_the_promise(json.dumps(value).encode())


@pytest.mark.parametrize("platform", DECODERS)
@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("empty", None),
        ("empty", b""),
        ("empty", b" \n"),
        ("too_large", b" " * 1_000_001),
        ("too_large", b":" + b" " * 1_000_001),
        ("not_utf8", b'{"id":"\xff","did":"\xff","event":"\xff","name":"\xff","id_str":"\xff"}'),
        ("not_json", b'{"id":'),
        ("not_json", b"[" * 100_000),
        ("not_json", b'{"data":' * 100_000),
        ("not_json", b'{"commit":{"record":' + b"[" * 400 + b"]" * 400 + b"}}"),
        ("not_an_event", b"[]"),
        ("not_an_event", b"null"),
    ],
)
def test_every_decoder_gives_the_same_reason_for_what_is_no_message_at_all(platform: str, expected: str, data: bytes) -> None:
    with pytest.raises(MalformedEvent) as caught:
        decoder(platform)(data)
    assert caught.value.reason == expected


def test_a_platform_without_decoder_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="'myspace': use one of canonical, bluesky, mastodon, x, reddit"):
        decoder("myspace")
