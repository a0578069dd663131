"""What is fed while things go wrong: seeded talk, with one thing in it that a real topic has too much of.

Every hour begins with the twenty minutes of tests.integration.stream, two surges in them, and ends in a long quiet tail: when it
is over no moment is open, so what is alerted does not depend on how long anybody waited.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from tests.integration.stream import BRANDS, MINUTES, PARTITIONS, START_MS, Message, broken_for, make_stream

__all__ = ["BRANDS", "FLAVOURS", "PARTITIONS", "Due", "posts_in", "refused", "talk"]

TAIL_MINUTES, TAIL_EVERY_S = 20, 10
HOUR_MS = 3_600_000
LARGE_BYTES = 10_000_000
_ABSURD_MS = (0, 4_070_908_800_000)
_MALFORMED = ("not_json", "not_an_event", "missing_id", "bad_time", "not_utf8", "empty")


class Due(NamedTuple):
    """A record and when it comes, on the clock of the stream."""

    at_ms: int
    message: Message


Flavour = Callable[[random.Random, list[Due]], list[Due]]


def talk(flavour: str, seed: int, hours: int = 1) -> list[Due]:
    """The stream in the order of its partitions, an hour like the other with other posts; same arguments, same bytes."""
    rng = random.Random(f"{flavour} {seed}")
    return [due for hour in range(hours) for due in FLAVOURS[flavour](rng, _hour(seed, hour))]


def _hour(seed: int, hour: int) -> list[Due]:
    messages = [*make_stream(seed * 1_000 + hour)[0], *_tail(random.Random(f"{seed} {hour}"))]
    return [Due(message.timestamp_ms, message) for message in (_at(hour, message) for message in messages)]


def _at(hour: int, message: Message) -> Message:
    """The record as of this hour, with a post of its own."""
    by_ms = hour * HOUR_MS
    post = _post(message.value)
    if post is None or not hour:
        return message._replace(timestamp_ms=message.timestamp_ms + by_ms)
    post |= {name: f"h{hour}{post[name]}" for name in ("id", "post_id") if name in post}
    if post.get("created_ms") not in (None, *_ABSURD_MS):
        post["created_ms"] += by_ms
    return message._replace(timestamp_ms=message.timestamp_ms + by_ms, value=orjson.dumps(post))


def refused(count: int) -> list[Due]:
    """Records of another platform, one every 100 ms."""
    value = b'{"data":{"id":"1","text":"of another platform"}}'
    return [Due(START_MS + n * 100, Message(n % PARTITIONS, b"?", value, START_MS + n * 100)) for n in range(count)]


def posts_in(stream: list[Due]) -> int:
    """Posts that are to be counted, each once."""
    found = (_post(one.message.value) for one in stream)
    return len({post["id"] for post in found if post is not None and post.get("kind") not in ("edit", "delete")})


def _tail(rng: random.Random) -> Iterator[Message]:
    start_ms = START_MS + MINUTES * 60_000
    for number, second in enumerate(range(0, TAIL_MINUTES * 60, TAIL_EVERY_S)):
        for partition in range(PARTITIONS):
            at_ms = start_ms + second * 1_000 + rng.randrange(1_000)
            post: dict[str, object] = {
                "made": "well",
                "id": f"t{number}-{partition}",
                "platform": "x",
                "lang": "en",
                "author": f"a{rng.randrange(99)}",
            }
            post |= {"text": rng.choice(["harbour mountain", "orchard kettle", "violin lantern"]), "created_ms": at_ms}
            yield Message(partition, str(post["id"]).encode(), orjson.dumps(post), at_ms)


def _plain(rng: random.Random, stream: list[Due]) -> list[Due]:
    return stream


def _twice(rng: random.Random, stream: list[Due]) -> list[Due]:
    """Every record again: at once, or up to half a minute later, when another worker may have taken over."""
    again = [_later(one, rng.choice([0, 0, 3_000, 30_000])) for one in stream]
    return sorted([*stream, *again], key=lambda one: one.at_ms)


def _late(rng: random.Random, stream: list[Due]) -> list[Due]:
    """Half of all posts are an hour to a day old."""

    def old(post: dict[str, Any], at_ms: int) -> None:
        if rng.random() < 0.5:
            post["created_ms"] = at_ms - rng.randrange(HOUR_MS, 24 * HOUR_MS)

    return _posts(stream, old)


def _clocks(rng: random.Random, stream: list[Due]) -> list[Due]:
    """Clocks in 1970 and 2099: of one author in ten, and of the broker now and then."""

    def wrong(post: dict[str, Any], at_ms: int) -> None:
        if rng.random() < 0.1:
            post["created_ms"] = rng.choice(_ABSURD_MS)

    def stamped(one: Due) -> Due:
        absurd = rng.random() < 0.01
        return one._replace(message=one.message._replace(timestamp_ms=rng.choice(_ABSURD_MS))) if absurd else one

    return [stamped(one) for one in _posts(stream, wrong)]


def _hot(rng: random.Random, stream: list[Due]) -> list[Due]:
    """One term carries 90 % of the traffic."""

    def join(post: dict[str, Any], at_ms: int) -> None:
        if rng.random() < 0.9 and "text" in post:
            post["text"] += " #everybody"

    return _posts(stream, join)


def _malformed(rng: random.Random, stream: list[Due]) -> list[Due]:
    """At least 2 % of all records cannot be decoded."""
    found: list[Due] = []
    for one in stream:
        found.append(one)
        if rng.random() < 0.02:
            value = broken_for(rng, rng.choice(_MALFORMED))
            found.append(one._replace(message=one.message._replace(value=value)))
    return found


def _large(rng: random.Random, stream: list[Due]) -> list[Due]:
    """A dozen records of 10 MB."""
    at = set(rng.sample(range(len(stream)), 12))
    large = [_large_after(rng, one) for place, one in enumerate(stream) if place in at]
    return sorted([*stream, *large], key=lambda one: one.at_ms)


def _large_after(rng: random.Random, one: Due) -> Due:
    text = b'{"id":"big","text":"' + bytes(rng.choices(b"abcdefgh ", k=1_000)) * (LARGE_BYTES // 1_000) + b'"}'
    return one._replace(message=one.message._replace(value=text))


def _schemas(rng: random.Random, stream: list[Due]) -> list[Due]:
    """Producers of two versions at once: one says times in words, the other sends fields that nobody here knows."""

    def version(post: dict[str, Any], at_ms: int) -> None:
        if rng.random() < 0.5:
            post |= {"schema": 3, "edge": {"region": "eu", "hops": [1, 2]}, "reach_estimate": None}
        elif at_ms - HOUR_MS < post.get("created_ms", 0) <= at_ms:
            post["created_at"] = _in_words(post.pop("created_ms"))

    return _posts(stream, version)


def _deletes(rng: random.Random, stream: list[Due]) -> list[Due]:
    """One post in five is deleted within a minute."""
    found = list(stream)
    for one in stream:
        post = _post(one.message.value)
        if post is not None and "kind" not in post and rng.random() < 0.2:
            gone = {"made": "well", "kind": "delete", "post_id": post["id"], "platform": "x", "id": f"{post['id']}#gone"}
            found.append(_later(one, rng.randrange(1_000, 60_000), orjson.dumps(gone)))
    return sorted(found, key=lambda one: one.at_ms)


FLAVOURS: dict[str, Flavour] = {
    "plain": _plain,
    "twice": _twice,
    "late": _late,
    "clocks": _clocks,
    "hot": _hot,
    "malformed": _malformed,
    "large": _large,
    "schemas": _schemas,
    "deletes": _deletes,
}


def _posts(stream: list[Due], change: Callable[[dict[str, Any], int], None]) -> list[Due]:
    """The stream with every post changed in place; copies of a post stay copies."""
    done: dict[bytes, bytes] = {}
    return [one._replace(message=one.message._replace(value=_changed(one, change, done))) for one in stream]


def _changed(one: Due, change: Callable[[dict[str, Any], int], None], done: dict[bytes, bytes]) -> bytes:
    value = one.message.value
    post = _post(value)
    if post is None or "kind" in post:
        return value
    if value not in done:
        change(post, one.at_ms)
        done[value] = orjson.dumps(post)
    return done[value]


def _post(value: bytes) -> dict[str, Any] | None:
    return orjson.loads(value) if value.startswith(b'{"made":"well"') else None


def _later(one: Due, by_ms: int, value: bytes | None = None) -> Due:
    message = one.message
    kept = message.value if value is None else value
    return Due(one.at_ms + by_ms, message._replace(timestamp_ms=message.timestamp_ms + by_ms, value=kept))


def _in_words(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
