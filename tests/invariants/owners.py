"""Owners of partitions, as the agents are: whatever they send goes out one message at a time, so that they can die in between.

An owner that was replaced may go on with its old state (a process that was stopped and woke up); only its commits are refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from schemas.candidates import SampleRef, decode_candidates, encode_candidates
from schemas.events import Event, decode_event
from schemas.mentions import encode_mention
from schemas.moments import encode_moment
from schemas.packets import decode_packet, encode_packet
from schemas.seen import SeenIds, decode_seen, encode_seen
from schemas.watchlist import Brand
from schemas.windows import encode_windows
from streams import detect as detection
from streams import ingest as ingestion
from streams.curate import CurateState, curate, needed_posts
from streams.detect import Detected, DetectState
from streams.rounds import Round, RoundState, complete_rounds
from streams.told import Told
from tests.invariants.broker import Broker, Message
from tests.invariants.caps import of_curate, of_detect, of_ingest, too_much
from tests.invariants.setting import BRANDS, CURATE, NOW_MS, WATCHLIST

RESENT = 4  # messages that a producer which got no answer sends again at most


@dataclass
class Owner:
    """What all owners have: a name, a generation, and messages on their way."""

    broker: Broker
    number: int
    name: str = ""
    generation: int = 0
    outbox: deque[Message] = field(default_factory=deque)
    sent: deque[Message] = field(default_factory=lambda: deque(maxlen=RESENT))  # of topics, to be sent again
    saving: bool = False
    over: list[str] = field(default_factory=list)  # caps that were not kept

    def deliver(self, count: int = 10**6) -> None:
        """Sends the next messages."""
        for _ in range(min(count, len(self.outbox))):
            message = self.outbox.popleft()
            message()
            self.sent.append(message)
        self.saving &= bool(self.outbox)

    def resend(self) -> None:
        """A produce request without answer is sent again."""
        for message in self.sent:
            message()

    def put(self, topic: list[bytes], value: bytes) -> None:
        """A message to be sent."""
        self.outbox.append(partial(topic.append, value))

    def commit(self, offset: int) -> None:
        """An offset to be committed when all before is acknowledged."""
        self.outbox.append(partial(self.broker.commit, self.name, self.generation, offset))


def differing(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    """Sections of a state that are not the same in both."""
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


class IngestOwner(Owner):
    """Owner of one raw partition."""

    def __init__(self, broker: Broker, number: int) -> None:
        super().__init__(broker, number, f"ingest-{number}")
        self.generation = broker.next_generation(self.name)
        self.position = broker.committed.get(self.name, 0)
        sightings = [decode_seen(data) for data in broker.seen[number]]
        self.state = ingestion.resume(number, "raw", number, self.position, self.usable(sightings), broker.setting.ingest)

    def usable(self, sightings: list[SeenIds]) -> list[SeenIds]:
        """As the agent filters them."""
        return [one for one in sightings if one.end <= self.position]

    def read(self, count: int) -> None:
        """The next records of the log."""
        records = self.broker.raw[self.number].records[self.position : self.position + count]
        self.position += len(records)
        params = self.broker.setting.ingest
        if records:
            self._send(ingestion.ingest(self.state, records, decode_event, WATCHLIST, params))
            self.over += too_much(of_ingest(self.state, params))

    def tell(self, idle_ms: int) -> None:
        """The open segment, of an owner that has read all there is (or believes it)."""
        self._send(ingestion.provisional(self.state, NOW_MS, idle_ms, WATCHLIST, self.broker.setting.ingest))

    def _send(self, done: ingestion.Ingested) -> None:
        broker = self.broker
        for number, packet in enumerate(done.packets):
            self.put(broker.partials[number], encode_packet(packet))
        if done.seen is not None:
            self.put(broker.seen[self.number], encode_seen(done.seen))
        for mention in done.mentions:
            self.put(broker.mentions, encode_mention(mention))
        for letter in done.dead_letters:
            headers = dict(letter.headers())
            self.outbox.append(partial(broker.dead_letters.append, (headers["partition"].decode(), int(headers["offset"]))))
        if done.commit_offset is not None:
            self.commit(done.commit_offset)


class DetectOwner(Owner):
    """Owner of one partials partition."""

    def __init__(self, broker: Broker, number: int) -> None:
        super().__init__(broker, number, f"detect-{number}")
        self.generation = broker.next_generation(self.name)
        self.params = broker.setting.detect(number)
        self.writer = broker.writer(self.name)
        found = self.writer.load()
        self.state = DetectState.fresh(self.params) if found is None else DetectState.restore(found.sections, self.params)
        self.offset = found.offset if found is not None else 0
        self.restored = [] if found is None else differing(self.state.snapshot(), found.sections)
        self.said: dict[int, tuple[bytes, ...]] = {}  # by offset
        self.watermarks = [self.state.alignment.watermark_ms]

    def take(self, count: int = 10**6) -> None:
        """The next packets of the log; none while a checkpoint is written."""
        log = self.broker.partials[self.number]
        for offset in range(self.offset, min(len(log), self.offset + count)) if not self.saving else ():
            done = detection.detect(self.state, decode_packet(log[offset]), offset, self.params)
            self.offset = offset + 1
            self.said[offset] = self._send(done)
            self.watermarks.append(self.state.alignment.watermark_ms)
            self.over += too_much(of_detect(self.state, self.params, self.broker.setting.sources))

    def save(self) -> None:
        """A checkpoint, once all before is acknowledged."""
        self.deliver()
        self.outbox.extend(self.writer.save(self.offset, self.state.snapshot()))
        self.commit(self.offset)
        self.saving = True

    def _send(self, done: Detected) -> tuple[bytes, ...]:
        windows = [encode_windows(batch) for batch in done.windows]
        candidates = [encode_candidates(tuple(done.candidates))] if done.candidates else []
        for data in windows:
            self.put(self.broker.windows[self.number], data)
        for data in candidates:
            self.put(self.broker.candidates, data)
        return (*windows, *candidates)


class CurateOwner(Owner):
    """Owner of the candidates."""

    def __init__(self, broker: Broker, brands: Sequence[Brand] = BRANDS) -> None:
        super().__init__(broker, 0, "curate")
        self.generation = broker.next_generation(self.name)
        self.brands = brands
        self.writer = broker.writer(self.name)
        found = self.writer.load()
        sections = found.sections if found is not None else {}
        self.rounds = RoundState.restore(sections["rounds"]) if found is not None else RoundState()
        own = {name.removeprefix("curate/"): data for name, data in sections.items() if name.startswith("curate/")}
        self.state = CurateState.restore(own, CURATE) if found is not None else CurateState()
        self.restored = [] if found is None else differing(self.state.snapshot(), own)
        told_until = msgspec.msgpack.decode(sections["moments"], type=int) if found is not None else 0
        self.told = self.told_since(told_until)
        self.told_until = len(broker.moments)
        self.offset = found.offset if found is not None else 0
        self.ticks: list[int] = []

    def told_since(self, offset: int) -> Told:
        """What was told from there on."""
        told = Told()
        for number, data in enumerate(self.broker.moments[offset:], offset):
            told.add(number, data, self.state)
        return told

    def take(self, count: int = 10**6) -> None:
        """The next candidates; none while a checkpoint is written."""
        log = self.broker.candidates
        for offset in range(self.offset, min(len(log), self.offset + count)) if not self.saving else ():
            for batch in decode_candidates(log[offset]):
                for one in complete_rounds(self.rounds, batch):
                    self._round(one)
                    self.over += too_much(of_curate(self.rounds, self.state, CURATE))
            self.offset = offset + 1

    def save(self) -> None:
        """A checkpoint, once all before is acknowledged."""
        self.deliver()
        curated = {f"curate/{name}": data for name, data in self.state.snapshot().items()}
        first = self.told.first_offset
        told_until = self.told_until if first is None else first
        sections = {"rounds": self.rounds.snapshot(), "moments": msgspec.msgpack.encode(told_until), **curated}
        self.outbox.extend(self.writer.save(self.offset, sections))
        self.commit(self.offset)
        self.saving = True

    def posts(self, one: Round) -> dict[SampleRef, Event]:
        """The posts that are asked for."""
        refs = needed_posts(self.state, one.surges, CURATE, one.tick_ms)
        events = ((ref, decode_event(self.broker.raw[ref.partition].records[ref.offset].payload)) for ref in refs)
        return {ref: event for ref, event in events if isinstance(event, Event)}

    def _round(self, one: Round) -> None:
        self.ticks.append(one.tick_ms)
        moments = curate(self.state, one.tick_ms, one.surges, self.posts(one), self.brands, CURATE, one.tallies)
        for moment in self.told.settle(self.state, moments):
            self.outbox.append(partial(self._send, encode_moment(moment)))

    def _send(self, data: bytes) -> None:
        self.broker.moments.append(data)
        self.told_until = max(self.told_until, len(self.broker.moments))
