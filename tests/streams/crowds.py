"""Posts and surges for tests of curate and its parts: people who talk about something, and accounts that pretend to."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from xxhash import xxh3_64_intdigest

from schemas.candidates import SampleRef, Surge
from schemas.events import Event
from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.posts import Post, read_posts

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000
_CHATTER = (
    "honestly never saw this coming today, my whole street talks about it",
    "can somebody explain what happened with the delivery this morning",
    "just left the stadium, trains are packed and everybody is singing",
    "third coffee and still no answer from support, unbelievable",
    "watching the news with my grandmother, she has opinions",
    "the queue goes around the corner, bring an umbrella",
    "great performance tonight, goosebumps from the first minute",
    "why does my phone get hot when I charge it in the kitchen",
    "teachers at our school were the first to notice the smell",
    "lost my keys, found a friend, what a strange evening",
    "please check on your neighbours and keep the roads free",
    "numbers do not add up, somebody should ask the auditor",
)


def ref_of(event: Event) -> SampleRef:
    """Where a test's post lies: its id is its offset."""
    return SampleRef(xxh3_64_intdigest(event.id.encode()), 0, int(event.id))


def talk(about: str, count: int, first_id: int = 0, *, authors: Sequence[str] | None = None, **fields: Any) -> list[Event]:
    """`count` posts about something, every one different, each by another person unless `authors` are given."""
    chance = random.Random(f"{about}/{first_id}")
    posts = []
    for i in range(count):
        words = chance.choice(_CHATTER).split()
        chance.shuffle(words)
        author = f"person-{first_id + i}" if authors is None else authors[i % len(authors)] if authors else ""
        posts.append(post(first_id + i, f"{' '.join(words[:7])} {about} {chance.getrandbits(40):x}", author, **fields))
    return posts


def post(number: int, text: str, author: str = "", **fields: Any) -> Event:
    """One post."""
    given: dict[str, Any] = {
        "id": str(number),
        "kind": "post",
        "platform": "mastodon",
        "post_id": str(number),
        "url": f"https://social.example/{number}",
        "created_ms": START_MS + number,
        "lang": "en",
    }
    return Event(text=text, author=author, **(given | fields))


def digests(events: Iterable[Event], brands: Sequence[Brand] = ()) -> list[Post]:
    """The posts as curate sees them."""
    return list(read_posts({ref_of(event): event for event in events}, compile_watchlist(brands)).values())


def surge(term: str, posts: Sequence[Event] = (), tick_ms: int = START_MS, phase: str = "opened", **fields: Any) -> Surge:
    """A surge of these posts that opened at `tick_ms` unless said otherwise."""
    count = len(posts)
    given: dict[str, Any] = {
        "opened_ms": tick_ms,
        "tick_ms": tick_ms,
        "since_ms": fields.get("opened_ms", tick_ms) - 40_000,
        "scale_ms": MINUTE_MS,
        "observed": max(count, 1),
        "expected": 2.1,
        "score": 35.0,
        "peak": fields.get("observed", max(count, 1)),
        "events": count,
        "originals": sum(event.kind != "repost" for event in posts),
        "reposts": sum(event.kind == "repost" for event in posts),
        "authors": len({event.author for event in posts if event.author}),
        "unknown_authors": sum(not event.author for event in posts),
        "samples": tuple(sorted(ref_of(event) for event in posts)[:32]),
    }
    return Surge(term=term, phase=phase, **(given | fields))  # type: ignore[arg-type]  # phase is one of the three
