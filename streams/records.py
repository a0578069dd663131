"""Records of a raw partition: one by one, and as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Record(NamedTuple):
    """One record of the raw log."""

    offset: int
    log_ms: int
    payload: bytes


@dataclass(slots=True)
class Columns:
    """Records in the order of the log, as columns: a tuple for each of 16,000 costs half as much as decoding them."""

    offsets: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Columns:
        """The columns of records."""
        return cls([one.offset for one in records], [one.log_ms for one in records], [one.payload for one in records])

    def __len__(self) -> int:
        return len(self.offsets)

    def extend(self, other: Columns) -> None:
        """Adds the records behind."""
        self.offsets += other.offsets
        self.times_ms += other.times_ms
        self.payloads += other.payloads

    def split(self, count: int) -> tuple[Columns, Columns]:
        """The first records, and the others."""
        first = Columns(self.offsets[:count], self.times_ms[:count], self.payloads[:count])
        return first, Columns(self.offsets[count:], self.times_ms[count:], self.payloads[count:])
