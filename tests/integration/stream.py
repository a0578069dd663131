"""Twenty minutes of seeded talk with everything in it that a real topic holds, and what must be counted of it.

The words are few and plain, so that a recount needs `split` and `strip` and shares nothing with the code that it checks.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import orjson

from agents.feed_broken import BROKEN_REASONS, broken_value
from schemas.watchlist import Brand

START_MS = 1_710_000_000_000
MINUTES = 20
PARTITIONS = 3
EVERY_S = 3  # talk comes in gusts: a second with posts costs the same for one post as for a hundred
POSTS = 12  # in each
WINDOW_MS = 10_000
BRANDS = (Brand(id="acme", aliases=("acme",), hashtags=("acmefire",)), Brand(id="zenit", aliases=("zenit",), handles=("zenitfc",)))
SURGES = (  # second of the stream: detect wants ten minutes before it says anything
    (640, "#acmefire", "smoke over the acme plant"),
    (880, "#derbynight", "zenit @zenitfc scored twice"),
)
SURGE_S, SURGE_POSTS = 45, 18

_PLAIN = "garden bicycle harbour pancake lantern violin mountain thunder notebook sparrow kettle marble orchard tunnel blanket"
_WORDS = tuple(_PLAIN.split())
_ENDINGS = ("anto", "erin", "iska", "olme", "urta", *_WORDS)
_RARE_WORDS = [first + last for first in ("bor", "kel", "dun", "mav", "rik", "sol", "tab", "zim") for last in _ENDINGS]
_TAGS = ["#morning", "#books", "#running", "#kitchen", "#trains"]
_FUTURE_MS, _PAST_MS = 4_070_908_800_000, 0


class Message(NamedTuple):
    """One record of the raw topic."""

    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


class Cell(NamedTuple):
    """A term in a window."""

    term: str
    window_start_ms: int


@dataclass(frozen=True)
class Recount:
    """What the log says, one record after the other."""

    cells: Counter[Cell]
    in_time: Counter[Cell]  # of these, what came before the window closed
    posts: int
    duplicates: int
    dead: Counter[str]
    changes: int
    mentioned: frozenset[str]  # posts that name a brand and were not deleted


def make_stream(seed: int) -> tuple[list[Message], Counter[str]]:
    """Messages in order of time, and the broken ones by the reason they must be refused for."""
    rng = random.Random(seed)
    messages: list[Message] = []
    broken: Counter[str] = Counter()
    posts: list[dict[str, object]] = []
    for second in range(0, MINUTES * 60, EVERY_S):
        for _ in range(rng.randint(POSTS - 4, POSTS + 4)):
            at_ms = START_MS + second * 1_000 + rng.randrange(1_000)
            if rng.random() < 0.01:
                reason, value = _broken(rng, len(messages))
                broken[reason] += 1
                messages.append(Message(rng.randrange(PARTITIONS), b"?", value, at_ms))
            elif posts and rng.random() < 0.02:
                messages.append(_change(rng, posts, at_ms))
            else:
                messages += _said(rng, _ordinary(rng), at_ms, posts)
        for start, tag, text in SURGES:
            if start <= second < start + SURGE_S:
                for _ in range(SURGE_POSTS):
                    words = f"{text} {' '.join(rng.sample(_RARE_WORDS, 6))} {tag}"
                    messages += _said(rng, words, START_MS + second * 1_000 + rng.randrange(1_000), posts)
    for reason in sorted(set(BROKEN_REASONS) - set(broken)):  # the rare ones too
        broken[reason] += 1
        messages.append(Message(0, b"?", broken_for(rng, reason), START_MS + 600_000))
    return sorted(messages, key=lambda one: one.timestamp_ms), broken


def broken_for(rng: random.Random, reason: str) -> bytes:
    """Bytes that must be refused for this reason."""
    return next(value for why, value in (broken_value(rng, f"broken{n}") for n in count()) if why == reason)


def live_post(number: str, text: str, **fields: object) -> bytes:
    """A post of this moment; a field that is None is left out."""
    event = {"id": number, "platform": "x", "lang": "en", "author": f"author-{number}", "created_ms": now_ms(), "text": text}
    return orjson.dumps({key: value for key, value in (event | fields).items() if value is not None})


def live(values: Iterable[bytes], partitions: int) -> list[Message]:
    """Records of this moment."""
    return [Message(number % partitions, b"?", value, now_ms()) for number, value in enumerate(values)]


def now_ms() -> int:
    """The wall clock, UTC epoch ms."""
    return time.time_ns() // 1_000_000


def recount(messages: Iterable[Message], lateness_ms: int) -> Recount:
    """Every (term, window), deduplicated by id."""
    seen: set[str] = set()
    found = Recount(Counter(), Counter(), 0, 0, Counter(), 0, frozenset())
    posts = duplicates = changes = 0
    mentioned, deleted = set[str](), set[str]()
    for message in messages:
        event = _event(message.value)
        if event is None:
            found.dead["all"] += 1
            continue
        identity = f"{event['id']}"
        if identity in seen:
            duplicates += 1
            continue
        seen.add(identity)
        terms = set(terms_of(str(event.get("text", ""))))
        if event.get("kind") == "delete":
            deleted.add(str(event["post_id"]))
        elif any(term.startswith("brand:") for term in terms):
            mentioned.add(str(event.get("post_id", identity)))
        if event.get("kind") in ("delete", "edit"):
            changes += 1
            continue
        posts += 1
        start = min(int(event.get("created_ms", message.timestamp_ms)), message.timestamp_ms) // WINDOW_MS * WINDOW_MS
        cells = [Cell(term, start) for term in terms]
        found.cells.update(cells)
        if message.timestamp_ms < start + WINDOW_MS + lateness_ms:
            found.in_time.update(cells)
    return Recount(found.cells, found.in_time, posts, duplicates, found.dead, changes, frozenset(mentioned - deleted))


def terms_of(text: str) -> Iterator[str]:
    """The terms of a text of this stream."""
    yield "all:posts"
    for word in text.split():
        if word.startswith("#"):
            yield f"hashtag:{word[1:]}"
        elif word.startswith("@"):
            yield f"mention:{word[1:]}"
        elif word.startswith("https://"):
            yield f"domain:{word.split('/')[2]}"
        elif word not in ("over", "the"):
            yield f"keyword:{word}"
    if "acme" in text.split() or "#acmefire" in text.split():
        yield "brand:acme"
    if "zenit" in text.split() or "@zenitfc" in text.split():
        yield "brand:zenit"


def _event(value: bytes) -> dict[str, int | str] | None:
    """The posts of this stream say so; anything else is broken."""
    return orjson.loads(value) if value.startswith(b'{"made":"well"') else None


def _ordinary(rng: random.Random) -> str:
    words = rng.sample(_WORDS, 4)
    if rng.random() < 0.3:
        words.append(rng.choice(_TAGS))
    if rng.random() < 0.05:
        words.append(rng.choice(["acme", "zenit"]))
    if rng.random() < 0.05:
        words.append(f"https://news.example/{rng.randrange(100)}")
    return " ".join(words)


def _said(rng: random.Random, text: str, at_ms: int, posts: list[dict[str, object]]) -> list[Message]:
    """A post with a clock that may be wrong, sent once, or again a little later."""
    number = f"p{len(posts)}"
    event: dict[str, object] = {
        "made": "well",
        "id": number,
        "platform": "x",
        "text": text,
        "lang": "en",
        "author": f"a{rng.randrange(3_000)}",
    }
    created_ms = (
        at_ms - rng.choice([0, 300, 900, 2_500]) if rng.random() < 0.95 else at_ms - rng.choice([45_000, 200_000, 9_000_000])
    )
    if rng.random() < 0.95:
        event["created_ms"] = rng.choice([_FUTURE_MS, _PAST_MS]) if rng.random() < 0.005 else created_ms
    posts.append(event)
    message = Message(_partition(number), number.encode(), orjson.dumps(event), at_ms)
    again = message._replace(timestamp_ms=at_ms + rng.randint(1, 33) * EVERY_S * 1_000)
    return [message, again] if rng.random() < 0.03 else [message]


def _change(rng: random.Random, posts: list[dict[str, object]], at_ms: int) -> Message:
    post = posts[rng.randrange(len(posts))]
    number = str(post["id"])
    event: dict[str, object] = {
        "made": "well",
        "kind": rng.choice(["edit", "delete"]),
        "post_id": number,
        "platform": "x",
        "created_ms": at_ms,
    }
    event["id"] = f"{number}#{event['kind']}{at_ms}"
    if event["kind"] == "edit":
        event["text"] = post["text"]
    return Message(_partition(number), number.encode(), orjson.dumps(event), at_ms)


def _broken(rng: random.Random, number: int) -> tuple[str, bytes]:
    reason, value = broken_value(rng, f"broken{number}")
    while reason == "too_large":  # a megabyte each; one is enough
        reason, value = broken_value(rng, f"broken{number}")
    return reason, value


def _partition(number: str) -> int:
    return int(number[1:]) % PARTITIONS
