"""The events that everything here is measured with: real-shaped, the same for the same seed, in time order, over some partitions.

Log time runs `rate` events a second. Behind the events come a few of 100 s later, the *tail*: they close every window before
them, so that a result is complete without anybody waiting for a stream to fall silent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from tests.benchmarks.corpus import Corpus, Shape, tail_word

PARTITIONS = 4
RATE = 10_000  # events a second of log time: the stream of a large network
DUPLICATE_SHARE = 0.02  # sent twice, within seconds: connectors that reconnect
LATE_SHARE, LATEST_MS = 0.01, 40_000  # authors' clocks behind the log's; Bluesky's are off by up to 56 s
TAIL_MS, TAIL_RECORDS = 100_000, 40  # per partition
_AUTHORS, _AUTHOR_SKEW = 300_000, 0.6  # the busiest of 9,829 recorded authors wrote 0.4 % of the posts
_TAIL_RANKS = 10_000_000
_TAIL_TEXT = " ".join(f"end{number:02}" for number in range(32))  # terms of every partition of whatever is partitioned by term
_RECENT = 20_000  # how far back a duplicate reaches


class Record(NamedTuple):
    """One record of the raw topic."""

    partition: int
    timestamp_ms: int
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Feed:
    """Events in log order, and the tail behind them."""

    source: str
    events: list[Record]
    tail: list[Record]

    @property
    def end_ms(self) -> int:
        """No event is of later."""
        return self.events[-1].timestamp_ms + 1

    @property
    def bytes(self) -> int:
        """Of all values."""
        return sum(len(record.value) for record in self.events)

    def first(self, count: int) -> Feed:
        """The first so many events, with the same tail."""
        return Feed(self.source, self.events[:count], self.tail)


def make_feed(corpus: Corpus, events: int, start_ms: int, *, rate: float = RATE, seed: int = 1) -> Feed:
    """So many events from `start_ms` on, duplicates included."""
    maker = Maker(corpus, seed)
    records: list[Record] = []
    for number in range(events):
        at_ms = start_ms + int(number * 1_000 / rate)
        records.append(maker.again(at_ms) or maker.event(at_ms))
    end_ms = start_ms + int(events * 1_000 / rate)
    tail = [maker.tail(partition, end_ms + TAIL_MS + i) for i in range(TAIL_RECORDS) for partition in range(PARTITIONS)]
    return Feed(corpus.source, records, tail)


class Maker:
    """Makes one event after the other."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus = corpus
        self.number = 0
        self._rng = Random(seed)
        self._recent: list[Record] = []
        self._order: list[Shape] = []
        self._words = self._tail_words()
        self._name = f"{seed:02x}"

    def event(self, at_ms: int, extra: str = "") -> Record:
        """A new event; `extra` is put behind its text."""
        rng = self._rng
        shape = self._next_shape()
        words = self._words
        text = shape.pieces[0] + "".join([next(words) + piece for piece in shape.pieces[1:]])
        late = rng.random()
        created_ms = at_ms - int(LATEST_MS * late / LATE_SHARE if late < LATE_SHARE else 100 + 900 * late)
        author = int(_AUTHORS * rng.random() ** (1 / (1 - _AUTHOR_SKEW)))
        record = self._record(
            at_ms, f',"author":"did:plc:{author:020x}","created_ms":{created_ms},"text":"{text}{extra}"{shape.rest}'
        )
        if len(self._recent) < _RECENT:
            self._recent.append(record)
        else:
            self._recent[self.number % _RECENT] = record
        return record

    def again(self, at_ms: int) -> Record | None:
        """Now and then a recent event, once more."""
        if self._rng.random() >= DUPLICATE_SHARE or not self._recent:
            return None
        return self._rng.choice(self._recent)._replace(timestamp_ms=at_ms)

    def tail(self, partition: int, at_ms: int) -> Record:
        """An event of that partition and no interest."""
        while True:
            record = self._record(
                at_ms, f',"author":"tail","created_ms":{at_ms},"text":"{_TAIL_TEXT}","platform":"x","lang":"en"}}'
            )
            if record.partition == partition:
                return record

    def _record(self, at_ms: int, rest: str) -> Record:
        self.number += 1
        key = f"3m{self._name}{self.number:011x}".encode()
        return Record(xxh3_64_intdigest(key) % PARTITIONS, at_ms, key, b'{"id":"%s"%s' % (key, rest.encode()))

    def _next_shape(self) -> Shape:
        if not self._order:
            self._order = self._rng.sample(self.corpus.shapes, len(self.corpus.shapes))
        return self._order.pop()

    def _tail_words(self) -> Iterator[str]:
        """Words by Zipf's law from the rank on where the common ones end."""
        first = self.corpus.common_words + 1
        spread = math.log(_TAIL_RANKS / first)
        while True:
            yield tail_word(int(first * math.exp(spread * self._rng.random())))
