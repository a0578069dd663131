"""What all measurements share: the broker, the events, a directory, and what one run has to say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.benchmarks.broker import Broker
from tests.benchmarks.corpus import Corpus


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One system, once."""

    events: int
    seconds: float
    peak_bytes: int  # of resident memory, all its processes
    cpu_s: float  # that its processes computed meanwhile
    extra: dict[str, float] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One system, the median run."""

    name: str
    runs: list[Run]

    @property
    def rate(self) -> float:
        """Events a second."""
        return median(run.events / run.seconds for run in self.runs)

    @property
    def micros(self) -> float:
        """Of wall time per event."""
        return 1e6 / self.rate

    @property
    def cpu_micros(self) -> float:
        """Of computing per event."""
        return median(1e6 * run.cpu_s / run.events for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Of resident memory."""
        return max(run.peak_bytes for run in self.runs) / 1e6


@dataclass
class Bench:
    """The table that everything is laid on."""

    broker: Broker
    place: Path
    corpus: Corpus
    core: int  # for what is measured
    other: int  # for the broker, ClickHouse and this process
    recordings: list[Path]  # the directory of recorded posts, if there is one
    found: dict[str, Any] = field(default_factory=dict)  # what goes into bench.json
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def name(self, what: str) -> str:
        """A prefix of topics and a name of files that nothing else has."""
        return f"bench-{what}-{next(self._numbers)}"

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.place / f"{name}.log"
