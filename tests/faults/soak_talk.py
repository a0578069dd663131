"""Talk that never repeats itself: every post has an id, an author, a hashtag, a word and a link that no other has.

Log time runs `speed` times as fast as posts are asked for, so that an hour of windows and minutes of ids turn over several
times while one waits. Same seed, same posts.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import orjson

from tests.integration.stream import Message

BRANDS = ("acme", "zenit")
VOCABULARY = 20_000  # words that come back, the n-th of them n times as rarely as the first
BURST_EVERY_MS, BURST_MS, BURST_SHARE = 600_000, 60_000, 0.2
LATE_SHARE, VERY_LATE_SHARE, DUPLICATE_SHARE, BROKEN_SHARE, BRAND_SHARE = 0.03, 0.005, 0.02, 0.002, 0.05
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEPT = 5_000  # posts that may be sent again


@dataclass
class Talk:
    """Posts of any stretch of log time, in order."""

    seed: int
    partitions: int
    start_ms: int
    number: int = 0
    _sent: deque[Message] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._words = [self._word(number) for number in range(VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(VOCABULARY)))

    def posts(self, from_ms: int, until_ms: int, count: int) -> Iterator[Message]:
        """So many posts, evenly spread over [from_ms, until_ms) of log time."""
        for i in range(count):
            yield self._post(from_ms + (until_ms - from_ms) * i // count)

    def _post(self, log_ms: int) -> Message:
        chance = self._random.random
        if self._sent and chance() < DUPLICATE_SHARE:
            return self._random.choice(self._sent)._replace(timestamp_ms=log_ms)
        self.number += 1
        name = f"{self.seed}-{self.number}"
        value = b"{broken" if chance() < BROKEN_SHARE else orjson.dumps(self._event(name, log_ms))
        message = Message(self.number % self.partitions, name.encode(), value, log_ms)
        self._sent.append(message)
        return message

    def _event(self, name: str, log_ms: int) -> dict[str, object]:
        chance = self._random.random
        words = self._random.choices(self._words, cum_weights=self._weights, k=6)
        words += [self._new("v"), f"#{self._new('t')}", f"https://{self._new('h')}.example/{name}"]
        if chance() < BRAND_SHARE:
            words.append(self._random.choice(BRANDS))
        if (log_ms - self.start_ms) % BURST_EVERY_MS < BURST_MS and chance() < BURST_SHARE:
            words.append(f"#burst{self._word((log_ms - self.start_ms) // BURST_EVERY_MS)}")
        late_ms = 0
        if chance() < LATE_SHARE:
            late_ms = self._random.randrange(30_000, 3_000_000)  # corrects a window that is closed and still kept
        if chance() < VERY_LATE_SHARE:
            late_ms = self._random.randrange(3_700_000, 20_000_000)  # a row beside a window that is forgotten
        author = f"author-{name}" if chance() < 0.5 else f"regular-{self._random.randrange(20_000)}"
        return {
            "platform": "x",
            "id": name,
            "author": author,
            "created_ms": log_ms - late_ms,
            "text": " ".join(words),
            "lang": "en",
        }

    def _new(self, first: str) -> str:
        """A word that nothing else has: by the number of the post."""
        return first + self._word(self.number + self.seed * 1_000_003)

    def _word(self, number: int) -> str:
        letters = ""
        while number or len(letters) < 4:
            number, at = divmod(number, len(_LETTERS))
            letters += _LETTERS[at]
        return letters
