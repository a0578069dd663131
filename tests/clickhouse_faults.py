"""What a ClickHouse does on a bad day, on demand; and what was done, counted so that not even kill -9 loses it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tests.clickhouse_statements import Kind

FaultKind = Literal[
    "status",  # an HTTP status and no code of ClickHouse's, as from a proxy (`status`, 503)
    "error",  # an error `code` of ClickHouse's
    "too_many_parts",
    "disk_full",
    "read_only",
    "memory",
    "hang",  # everything is read, nothing is done or answered until healed; then both
    "slow",  # done and answered after `seconds`
    "drop_before",  # the connection is closed, nothing was done
    "drop_after",  # all is done, then the connection is closed
    "half",  # all is done, and the connection closed in the middle of the answer
]
Only = Literal["insert", "select", "all"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
TOTALS = ("inserts", "rows", "selects", "others", "refused")

# Texts as ClickHouse writes them.
_ERRORS: Mapping[str, tuple[int, str]] = {
    "too_many_parts": (
        252,
        "Too many parts (3001 with average size of 1.00 KiB). Merges are processing significantly slower than inserts. "
        "(TOO_MANY_PARTS)",
    ),
    "disk_full": (243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
    "read_only": (242, "Table is in readonly mode (replica path: /clickhouse/tables/01/1). (TABLE_IS_READ_ONLY)"),
    "memory": (241, "(total) memory limit exceeded: would use 7.21 GiB, maximum: 7.20 GiB. (MEMORY_LIMIT_EXCEEDED)"),
}


@dataclass(slots=True)
class Fault:
    """One kind of fault, for what it holds, and how many requests it still meets (None: until healed)."""

    kind: FaultKind
    only: Only = "insert"
    for_requests: int | None = None
    status: int = 503
    code: int = 159
    seconds: float = 1.0
    text: str = "injected"  # what `status` and `error` say

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")
        if self.only not in get_args(Only):
            raise ValueError(f"only={self.only!r}; expected {', '.join(get_args(Only))}")
        if self.for_requests is not None and self.for_requests < 1:
            raise ValueError(f"for_requests={self.for_requests}; expected at least 1, or None for until healed")

    @property
    def error(self) -> tuple[int, str] | None:
        """The code and text that ClickHouse answers, if it is that kind."""
        return (self.code, f"{self.text}. (INJECTED)") if self.kind == "error" else _ERRORS.get(self.kind)


class Faults:
    """The faults that are on; a request meets at most one, the oldest that is for its kind."""

    def __init__(self) -> None:
        self._on: list[Fault] = []
        self._healed = asyncio.Event()

    def fail(self, **options: Any) -> None:
        """One more fault; raises ValueError or TypeError if there is none such."""
        self._on.append(Fault(**options))

    def heal(self) -> None:
        """None is on, and who waits goes on."""
        self._on.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    def met_by(self, kind: Kind) -> Fault | None:
        """The fault that this request meets."""
        for fault in self._on:
            if fault.only in (kind, "all"):
                if fault.for_requests is not None:
                    fault.for_requests -= 1
                    if fault.for_requests == 0:
                        self._on.remove(fault)
                return fault
        return None

    async def healed(self, within_s: float | None = None) -> None:
        """Returns when `heal` is called, or after `within_s`."""
        try:
            await asyncio.wait_for(self._healed.wait(), within_s)
        except TimeoutError:
            return


class Tally:
    """Counters in a file that is only appended to: a process that is killed leaves them whole for the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def add(self, name: str, amount: int = 1) -> None:
        """`amount` more of it."""
        self._file.write(f"{name} {amount}\n".encode())

    def counts(self) -> dict[str, int]:
        """All counters, zeros too: requests by kind, rows taken, what the engine refused, and each kind of fault."""
        counts = dict.fromkeys((*TOTALS, *KINDS), 0)
        for line in self._path.read_text().splitlines():
            name, _, amount = line.partition(" ")
            counts[name] += int(amount)
        return counts

    def close(self) -> None:
        """No more is added."""
        self._file.close()
