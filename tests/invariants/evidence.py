"""A deployment at its end with what it is compared with: recounts of its raw logs, and an undisturbed detect over its partials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest import mock

from schemas import frames
from schemas.errors import BrokenLog
from schemas.packets import Packet
from schemas.windows import decode_windows
from streams import detect as detection
from streams.alignment import Aligned, AlignmentParams, AlignmentState, Piece, Source
from tests.invariants.broker import Broker
from tests.invariants.deployment import Deployment
from tests.invariants.owners import DetectOwner
from tests.invariants.raw_log import Recount, recount


def expect(number: int, what: str, found: object, expected: object) -> None:
    """Raises AssertionError with the number of the invariant unless both are equal."""
    if found != expected and isinstance(found, dict) and isinstance(expected, dict):
        differing = [key for key in found | expected if found.get(key) != expected.get(key)]
        found, expected = ({key: one.get(key) for key in differing} for one in (found, expected))
    if found != expected:
        raise AssertionError(f"invariant {number}: {what}: {found} instead of {expected}")


@contextmanager
def no_gap() -> Iterator[None]:
    """A gap in a log that nobody took anything from is a breach of the first invariant."""
    try:
        yield
    except BrokenLog as error:
        raise AssertionError(f"invariant 1: {error}") from error


@dataclass
class Run:
    """Detect over the whole log of one partition, never disturbed."""

    owner: DetectOwner
    pieces: list[Piece] = field(default_factory=list)  # as handed out to be counted
    most_pending: int = 0
    believed_less: int = 0  # packets that knew less of an open segment than one before, and changed what is known of the source
    _furthest: dict[tuple[int, int], int] = field(default_factory=dict)

    def known(self, state: AlignmentState, packet: Packet) -> object:
        """What is known of the packet's source, if the packet is stale; else None."""
        (one, *_), source = packet.segments, packet.source
        key = source, one.start
        furthest = max(self._furthest.get(key, 0), one.end)
        self._furthest[key] = furthest
        if packet.final or one.end == furthest or source not in state.sources:
            return None
        known: Source = state.sources[source]
        return known.next, known.clock_ms, known.idle_ms, known.behind, id(state.overlays.get(source))


@dataclass
class Evidence:
    """A deployment at its end, and what is to be compared with it."""

    deployment: Deployment

    @cached_property
    def recounts(self) -> list[Recount]:
        """Of every raw partition."""
        return [recount(log) for log in self.deployment.broker.raw]

    @cached_property
    def runs(self) -> list[Run]:
        """Detect once more, from the first packet to the last."""
        return [self._run(partition) for partition in range(self.deployment.setting.partitions)]

    def _run(self, partition: int) -> Run:
        broker = self.deployment.broker
        aside = Broker.of(self.deployment.setting)
        aside.partials = broker.partials
        run, align = Run(DetectOwner(aside, partition)), vars(detection)["align"]

        def watched(state: AlignmentState, packet: Packet, params: AlignmentParams) -> Aligned:
            before = run.known(state, packet)
            done: Aligned = align(state, packet, params)
            run.pieces.extend(done.pieces)
            run.most_pending = max(run.most_pending, len(state.pending))
            run.believed_less += before is not None and run.known(state, packet) != before
            return done

        with mock.patch.object(detection, "align", watched), no_gap():
            run.owner.take()
        return run

    @cached_property
    def table(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The windows as ClickHouse keeps them: of rows with one key the highest version, of equal ones the last."""
        return self._merged("rows", "term")

    @cached_property
    def facets(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The same of facets."""
        return self._merged("facets", "term", "facet")

    def _merged(self, name: str, *key_columns: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        table: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in (row for data in self.deployment.inserted for row in rows_of(data, name)):
            key = tuple(row[column] for column in ("window_start_ms", *key_columns, "part"))
            if key not in table or table[key]["version"] <= row["version"]:
                table[key] = row
        return table


def rows_of(data: bytes, table: str) -> Iterator[dict[str, Any]]:
    """Rows of one table of an encoded window batch."""
    packed: bytes = getattr(decode_windows(data), table)
    return frames.from_bytes(packed).iter_rows(named=True) if packed else iter(())
