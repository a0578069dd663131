"""A deployment: a broker, the owners of every partition, those included that should be dead, and a table that store writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.packets import decode_packet
from tests.invariants.broker import Broker
from tests.invariants.owners import CurateOwner, DetectOwner, IngestOwner, Owner
from tests.invariants.raw_log import Draft, RawLog
from tests.invariants.setting import Setting

IDLE_MS = (2_500, 60_000, 4_000_000)  # what is said at the end, so that windows close and surges fade


@dataclass
class Deployment:
    """The last owner of a partition is the one that the coordinator knows; those before it are zombies."""

    setting: Setting
    broker: Broker
    ingest: list[list[IngestOwner]] = field(default_factory=list)
    detect: list[list[DetectOwner]] = field(default_factory=list)
    curate: list[CurateOwner] = field(default_factory=list)
    inserted: list[bytes] = field(default_factory=list)  # window batches in the order in which the table got them
    dead: list[Owner] = field(default_factory=list)
    curate_zombies: int = 0
    _applied: list[list[int]] = field(default_factory=list)
    _read: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, setting: Setting, raw: Sequence[RawLog] | None = None) -> Deployment:
        """One where nothing has happened yet."""
        new = cls(setting, Broker.of(setting, raw))
        new.ingest = [[IngestOwner(new.broker, source)] for source in range(setting.sources)]
        new.detect = [[DetectOwner(new.broker, partition)] for partition in range(setting.partitions)]
        new.curate = [CurateOwner(new.broker)]
        new._applied = [[0] * setting.sources for _ in range(setting.partitions)]
        new._read = [0] * setting.partitions
        return new

    def append(self, source: int, drafts: Iterable[Draft]) -> None:
        """Producers write."""
        for draft in drafts:
            self.broker.raw[source].append(draft)

    def replace_ingest(self, source: int, *, survives: bool) -> None:
        """The coordinator gives the partition to a new owner; the old one is dead, or does not know."""
        owners = self.ingest[source]
        self.dead += [] if survives else owners[-1:]
        self.ingest[source] = [*(owners[-2:] if survives else owners[-2:-1]), IngestOwner(self.broker, source)]

    def replace_detect(self, partition: int, *, survives: bool) -> None:
        """As with ingest."""
        owners = self.detect[partition]
        self.dead += [] if survives else owners[-1:]
        self.detect[partition] = [*(owners[-2:] if survives else owners[-2:-1]), DetectOwner(self.broker, partition)]

    def replace_curate(self, *, survives: bool) -> None:
        """As with ingest."""
        self.dead += [] if survives else self.curate[-1:]
        self.curate_zombies += survives
        self.curate = [*(self.curate[-2:] if survives else self.curate[-2:-1]), CurateOwner(self.broker)]

    def insert(self, partition: int, first: int, count: int) -> None:
        """Some owner of store inserts these batches, whatever others did before."""
        self.inserted += self.broker.windows[partition][first : first + count]

    def flow(self) -> None:
        """The present owners do all there is to be done."""
        for source, owners in enumerate(self.ingest):
            owners[-1].read(len(self.broker.raw[source].records))
            owners[-1].deliver()
        for owner in (owners[-1] for owners in self.detect):
            owner.deliver()
            owner.take()
            owner.deliver()
        self.curate[-1].deliver()
        self.curate[-1].take()
        self.curate[-1].deliver()

    def finish(self) -> None:
        """New owners everywhere come to the end of their logs; the stream is quiet from then on, and everything is stored."""
        for source in range(self.setting.sources):
            self.replace_ingest(source, survives=False)
        for partition in range(self.setting.partitions):
            self.replace_detect(partition, survives=False)
        self.replace_curate(survives=False)
        self.flow()
        for idle_ms in IDLE_MS:
            for owners in self.ingest:
                owners[-1].tell(idle_ms)
                owners[-1].deliver()
        self.flow()
        for partition, batches in enumerate(self.broker.windows):
            self.insert(partition, 0, len(batches))
            self.insert(partition, 0, len(batches) // 2)  # a store owner that slept and has not heard

    def applied(self) -> list[list[int]]:
        """Per detect partition and source: up to where final segments follow each other without gap, as its log is now."""
        for partition, log in enumerate(self.broker.partials):
            ends = self._applied[partition]
            for packet in map(decode_packet, log[self._read[partition] :]):
                for one in packet.segments if packet.final else ():
                    ends[packet.source] = one.end if one.start == ends[packet.source] else ends[packet.source]
            self._read[partition] = len(log)
        return self._applied

    def owners(self) -> Iterable[Owner]:
        """All that ever were."""
        yield from self.dead
        for ingest in self.ingest:
            yield from ingest
        for detect in self.detect:
            yield from detect
        yield from self.curate
