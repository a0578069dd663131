"""Processes on cores of their own: pinned before they start, ended by their id, and what they used of memory and time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from agents.local import stop_process, with_parent

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
ALL_CORES = frozenset(os.sched_getaffinity(0))
_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """The core for what is measured, and the one for everything else; the same if there is only one."""
    return max(ALL_CORES), min(ALL_CORES)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes started within run on that core only, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def spread() -> Iterator[None]:
    """Within, this process and all that it has started (broker, ClickHouse) run on any core, afterwards where they were before."""
    before = {pid: os.sched_getaffinity(pid) for pid in _family(os.getpid())}
    for pid in before:
        _move(pid, set(ALL_CORES))
    try:
        yield
    finally:
        for pid, cores_before in before.items():
            _move(pid, cores_before)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends meanwhile
            for child_pid in children.read_text(encoding="ascii").split():
                yield from _family(int(child_pid))


def _move(pid: int, to: set[int]) -> None:
    """With all its threads; one that has ended meanwhile stays where it is."""
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), to)


def peak_bytes(pid: int) -> int:
    """The most resident memory a process had so far."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")


def cpu_s(pid: int) -> float:
    """Seconds that a process and its threads have computed."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Child:
    """A Python module in a process of its own that says one JSON a line; its other words are in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.log = process, log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def says(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next line that is a JSON object; RuntimeError if it ends without one."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + patience_s
        while line := await asyncio.wait_for(self.process.stdout.readline(), deadline - time.monotonic()):
            if line.startswith(b"{"):
                said: dict[str, Any] = orjson.loads(line)
                return said
        raise RuntimeError(f"{self.log.name}: ended with {await self.process.wait()}: {self.end_of_log()}")

    def freeze(self) -> None:
        """It stands still until `go_on`."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It runs on."""
        self.process.send_signal(signal.SIGCONT)

    def end_of_log(self) -> str:
        """The last it said."""
        return self.log.read_text(errors="replace")[-3_000:]


@asynccontextmanager
async def child(
    module: str,
    arguments: Sequence[object],
    *,
    core: int,
    log: Path,
    python: str = sys.executable,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Inside `async with` it runs; afterwards it has ended."""
    command = with_parent([python, "-m", module, *map(str, arguments)])
    environment = {**os.environ, **(variables or {})}
    with log.open("ab") as errors, pinned(core):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Child(process, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
        await asyncio.shield(stop_process(process))
