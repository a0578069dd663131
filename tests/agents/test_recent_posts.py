"""What ingest has just read is there for curate, up to so many bytes, and is what the broker would send."""

from __future__ import annotations

import orjson
from aiokafka import TopicPartition

from agents.posts_reader import PostsReader
from agents.recent_posts import RecentPosts
from agents.settings import Settings
from schemas.candidates import SampleRef

RAW = TopicPartition("social.raw", 0)
OTHER = TopicPartition("social.raw", 1)


def test_a_record_is_found_by_its_offset_and_nothing_between_or_beside() -> None:
    recent = RecentPosts()
    recent.add(RAW, [10, 11, 13], [b"a", b"b", b"c"])
    recent.add(OTHER, [10], [b"other"])
    recent.add(RAW, [20], [b"d"])
    found = {offset: recent.payload(RAW, offset) for offset in (9, 10, 11, 12, 13, 14, 19, 20, 21)}
    assert {offset: payload for offset, payload in found.items() if payload} == {10: b"a", 11: b"b", 13: b"c", 20: b"d"}
    assert recent.payload(OTHER, 10) == b"other"
    assert recent.payload(TopicPartition("social.raw", 2), 10) is None


def test_the_oldest_go_first_whatever_their_partition() -> None:
    recent = RecentPosts(most_bytes=1_000)
    for offset in range(20):
        recent.add(RAW if offset % 2 else OTHER, [offset], [b"x" * 120])
        assert recent.bytes <= 1_000
    kept = [offset for offset in range(20) if recent.payload(RAW if offset % 2 else OTHER, offset)]
    assert kept == [15, 16, 17, 18, 19]


def test_after_a_rebalance_nothing_is_there() -> None:
    recent = RecentPosts()
    recent.add(RAW, [10], [b"a"])
    recent.clear()
    assert recent.payload(RAW, 10) is None
    recent.add(RAW, [5], [b"b"])
    assert (recent.payload(RAW, 5), recent.payload(RAW, 10)) == (b"b", None)


async def test_posts_that_were_just_read_are_given_without_the_broker() -> None:
    recent = RecentPosts()
    post = orjson.dumps({"id": "1", "platform": "x", "author": "a", "created_ms": 1, "text": "hello"})
    recent.add(RAW, [7, 8], [post, b"not a post"])
    reader = PostsReader(Settings(kafka="127.0.0.1:1"), recent)
    posts = await reader.read([SampleRef(1, 0, 7), SampleRef(1, 0, 8)])
    assert {ref.offset: event.text for ref, event in posts.items()} == {7: "hello"}
