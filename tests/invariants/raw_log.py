"""A raw partition of the model, and the recount of it, record by record, that every count is compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from schemas.errors import MalformedEvent
from schemas.events import COUNTED_KINDS, Event, decode_event
from schemas.windows import WINDOW_MS
from streams.records import Record
from streams.segments import Cutter, Stamp
from tests.invariants.setting import BASE_MS, DEDUP, FAR_MS, NOW_MS, SEGMENTS

Cell = tuple[int, str]
COUNTED = ("events", "originals", "replies", "reposts")


class Draft(NamedTuple):
    """What a producer appends; `pick` chooses term, author and which earlier record is meant."""

    shape: str
    advance_ms: int
    pick: int


SHAPES = (
    *("post", "reply", "repost", "copy", "late", "very late", "created 1970", "created 2099"),
    *("log 1970", "log 2099", "broken", "empty", "delete", "edit", "hot"),
)
HOT_POSTS = 5


@dataclass
class RawLog:
    """Records of one raw partition; ids are its own, as copies share a partition."""

    source: int
    records: list[Record] = field(default_factory=list)
    now_ms: int = BASE_MS
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def append(self, draft: Draft) -> None:
        """What the draft says, as bytes."""
        self.now_ms += draft.advance_ms
        if draft.shape in ("broken", "empty"):
            self._put(b"{broken" if draft.shape == "broken" else b"", self.now_ms)
        elif draft.shape == "copy" and self.bodies:
            self._put(orjson.dumps(self.bodies[-1 - draft.pick % min(len(self.bodies), 12)]), self.now_ms)
        elif draft.shape == "hot":
            for number in range(HOT_POSTS):
                self._post(draft._replace(pick=number, shape="post"), text="#hot acme")
        else:
            self._post(draft)

    def _post(self, draft: Draft, text: str | None = None) -> None:
        shape, number = draft.shape, len(self.records)
        log_ms = {"log 1970": 0, "log 2099": FAR_MS}.get(shape, self.now_ms - draft.pick % 3 * 200)
        back_ms = {"late": 12_000, "very late": 90_000}.get(shape, draft.pick % 2 * 700)
        created_ms = {"created 1970": 0, "created 2099": FAR_MS}.get(shape, self.now_ms - back_ms)
        body: dict[str, Any] = {
            "id": f"{self.source}.{number}",
            "author": f"a{draft.pick % 6}",
            "created_ms": created_ms,
            "text": text or f"#t{draft.pick % 4} {'acme' if draft.pick % 3 == 0 else ''}",
            "platform": "x",
            "lang": "xx",
        }
        earlier = self.bodies[draft.pick % len(self.bodies)]["id"] if self.bodies else "0.0"
        body |= {"reply": {"reply_to": earlier}, "repost": {"repost_of": earlier}}.get(shape, {})
        body |= {one: {"kind": one, "post_id": earlier, "id": earlier} for one in ("delete", "edit")}.get(shape, {})
        self.bodies.append(body)
        self._put(orjson.dumps(body), log_ms)

    def _put(self, payload: bytes, log_ms: int) -> None:
        self.records.append(Record(len(self.records), log_ms, payload))


@dataclass
class Recount:
    """What the log says, one record after the other."""

    outcomes: list[str] = field(default_factory=list)  # by offset
    cells: dict[str, Counter[Cell]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    authors: dict[Cell, set[str]] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)  # ids of posts that are to be stored or forgotten

    def count(self, event: Event, when_ms: int) -> None:
        """One event that counts."""
        words = event.text.split()
        terms = {"all:posts", f"hashtag:{words[0][1:]}"} | ({"brand:acme", "keyword:acme"} if "acme" in words else set())
        kind = {"reply": "replies", "repost": "reposts"}.get(event.kind, "originals")
        for term in terms:
            cell = when_ms // WINDOW_MS * WINDOW_MS, term
            self.cells["events"][cell] += 1
            self.cells[kind][cell] += 1
            self.authors.setdefault(cell, set()).add(event.author)


def recount(log: RawLog) -> Recount:
    """The recount of the whole log, its open segment included."""
    found, last = Recount(), dict[str, int]()
    for record, (time_ms, step_ms) in zip(log.records, _times(log), strict=True):
        try:
            event = decode_event(record.payload)
        except MalformedEvent:
            found.outcomes.append("dead")
            continue
        assert isinstance(event, Event)
        before, last[event.id] = last.get(event.id), step_ms
        if before is not None and step_ms - before <= DEDUP.horizon_ms:
            found.outcomes.append("duplicates")
            continue
        if event.kind == "delete" or "acme" in event.text:
            found.mentioned.add(event.post_id)
        found.outcomes.append("counted" if event.kind in COUNTED_KINDS else "filtered")
        if event.kind in COUNTED_KINDS:
            found.count(event, min(time_ms, event.created_ms if event.created_ms is not None else time_ms))
    return found


def _times(log: RawLog) -> list[tuple[int, int]]:
    """What each record's timestamp is taken for, and the second of its segment."""
    cutter = Cutter(0, None, SEGMENTS)
    cuts = cutter.push(Stamp(record.offset, record.log_ms, len(record.payload)) for record in log.records)
    assert [cut.start for cut in cuts[1:]] == [cut.end for cut in cuts[:-1]]
    times = [(time_ms, cut.step_ms) for cut in cuts for time_ms in cut.times_ms]
    rest = cutter.open_times(NOW_MS)
    clock_ms = max([*rest, cutter.clock_ms or 0])
    return times + [(time_ms, clock_ms // 1_000 * 1_000) for time_ms in rest]


def is_ascending(values: list[int]) -> bool:
    """Whether no value is below the one before it."""
    return all(left <= right for left, right in pairwise(values))
