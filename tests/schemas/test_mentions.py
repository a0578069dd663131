"""A mention and the order to forget it go the same way, and no other post goes with them."""

from __future__ import annotations

import orjson

from schemas.events import decode_event
from schemas.mentions import Mention, decode_mention, encode_mention
from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.ingest import ingest, resume
from streams.records import Record
from streams.segment_table import IngestParams

BASE = 1_700_000_000_000


def mentions_of(*events: dict[str, object]) -> list[Mention]:
    params = IngestParams(sources=1, partitions=1, author_key=b"a key for the tests")
    clock = [{"id": f"clock{n}", "text": "tick"} for n in range(8)]
    payloads = [orjson.dumps(event) for event in [*clock, *events]]
    records = [Record(offset, BASE, payload) for offset, payload in enumerate(payloads)]
    records.append(Record(len(records), BASE + 2_000, b"{}"))
    return ingest(resume(0, "raw", 0, 0, [], params), records, decode_event, compile_watchlist([Brand(id="acme")]), params).mentions


def test_a_post_and_its_delete_share_a_key_and_the_post_of_another_platform_with_their_id_has_its_own() -> None:
    told = mentions_of(
        {"id": "1", "platform": "x", "text": "acme"},
        {"id": "1", "platform": "mastodon", "text": "acme"},
        {"id": "1", "platform": "x", "kind": "delete"},
    )
    assert sorted((one.key, one.deleted) for one in told) == [(b"mastodon:1", False), (b"x:1", False), (b"x:1", True)]


def test_a_mention_is_read_as_it_was_written() -> None:
    mention = Mention(post_id="1", platform="x", version=5, brands=("acme",), author_hash=2**64 - 1, sentiment_milli=-3)
    assert decode_mention(encode_mention(mention)) == mention
