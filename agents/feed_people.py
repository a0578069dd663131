"""Who posts in the demo feed: a few voices post much, most post little, on four platforms with ids as those platforms make them."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random
from typing import NamedTuple

from agents.feed_words import WORDS

ID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_PLATFORMS = {"bluesky": 0.45, "x": 0.25, "mastodon": 0.2, "reddit": 0.1}
_DAY_MS = 86_400_000


class Author(NamedTuple):
    """One account on one platform."""

    platform: str
    id: str  # the platform's own
    handle: str
    instance: str  # Mastodon's server
    followers: int
    age_days: int


class Zipf:
    """Picks rank r of n with a chance proportional to 1 / (r + 1) ** exponent."""

    def __init__(self, count: int, exponent: float) -> None:
        self._cumulated = list(accumulate((rank + 1) ** -exponent for rank in range(count)))

    def pick(self, rng: Random) -> int:
        """A rank in [0, n)."""
        return bisect(self._cumulated, rng.random() * self._cumulated[-1])


def invent_name(rng: Random, syllables: int) -> str:
    """A word that sounds like a name."""
    return "".join(rng.choice(WORDS.syllables) for _ in range(syllables))


def invent_author(rng: Random, followers: int, *, age_days: int | None = None, platform: str = "") -> Author:
    """An account with about that many followers."""
    platform = platform or rng.choices(list(_PLATFORMS), list(_PLATFORMS.values()))[0]
    handle = f"{invent_name(rng, 2)}{rng.choice('_.-')}{invent_name(rng, 2)}{rng.randrange(100)}"
    instance = rng.choice(WORDS.instances)
    spread = int(rng.lognormvariate(0, 1.2) * max(followers, 1))
    age = age_days if age_days is not None else int(rng.triangular(20, 5_000, 1_400))
    return Author(platform, _author_id(rng, platform, handle, instance), handle, instance, spread, age)


def _author_id(rng: Random, platform: str, handle: str, instance: str) -> str:
    if platform == "bluesky":
        return "did:plc:" + "".join(rng.choices(ID_ALPHABET, k=24))
    if platform == "mastodon":
        return f"{handle}@{instance}"
    return str(rng.randrange(10**8, 10**18)) if platform == "x" else f"u/{handle}"


def post_id(author: Author, number: int, created_ms: int) -> str:
    """An id as the platform would give; distinct for distinct numbers."""
    if author.platform == "bluesky":
        return f"at://{author.id}/app.bsky.feed.post/3l{_base32(number, 11)}"
    if author.platform == "mastodon":
        return f"https://{author.instance}/users/{author.handle}/statuses/{created_ms << 16 | number & 0xFFFF}{number >> 16}"
    return str(1_800_000_000_000_000_000 + number) if author.platform == "x" else f"t3_{_base32(number, 7)}"


def post_url(author: Author, identifier: str, community: str) -> str:
    """Where a browser would find the post."""
    last = identifier.rsplit("/", 1)[-1]
    if author.platform == "bluesky":
        return f"https://bsky.example/profile/{author.id}/post/{last}"
    if author.platform == "mastodon":
        return f"https://{author.instance}/@{author.handle}/{last}"
    return f"https://x.example/i/status/{last}" if author.platform == "x" else f"https://reddit.example/{community}/comments/{last}"


def account_created_ms(author: Author, now_ms: int) -> int:
    """When the account was made."""
    return now_ms - author.age_days * _DAY_MS


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(ID_ALPHABET[digit])
    return "".join(reversed(digits))
