"""Workers under a supervisor, as users run them: who ends is started again, until it is taken away on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from agents.local import with_parent
from agents.settings import Settings
from tests.integration.worker import ROOT

BACKOFF_S = 0.3  # between two lives that ended by themselves
STOP_S = 30.0
READY_S = 60.0
_READY = "page, metrics and health on"
_SETTINGS = ("kafka", "clickhouse", "prefix", "session_timeout_ms", "lateness_ms", "min_support", "malformed", "dedup_horizon_ms")


@dataclass
class _Slot:
    """A place for one worker, at times empty."""

    settings: Settings
    log: Path
    wanted: bool = True
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Fleet:
    """Inside `async with`, every slot that is wanted has a worker; afterwards none is left."""

    def __init__(self, slots: list[Settings], place: Path, module: str) -> None:
        self.module = module
        self._slots = [_Slot(settings, place / f"worker{number}.log") for number, settings in enumerate(slots)]
        self.exits: Counter[int] = Counter()  # by exit code; negative: by signal

    async def __aenter__(self) -> Self:
        for slot in self._slots:
            slot.keeper = asyncio.create_task(self._keep(slot))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for slot in self._slots:
            assert slot.keeper is not None
            slot.keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await slot.keeper
            if slot.process is not None and slot.process.returncode is None:
                slot.process.kill()
                await slot.process.wait()

    def __len__(self) -> int:
        return len(self._slots)

    def pid(self, number: int) -> int | None:
        """Of the worker in this slot, if it runs."""
        process = self._slots[number].process
        return process.pid if process is not None and process.returncode is None else None

    def signal(self, number: int, what: signal.Signals) -> bool:
        """Whether there was a worker to get it."""
        process = self._slots[number].process
        if process is None or process.returncode is not None:
            return False
        process.send_signal(what)
        return True

    async def leave(self, number: int) -> None:
        """It stops as it is told to, and nobody starts it again."""
        slot = self._slots[number]
        slot.wanted = False
        if self.signal(number, signal.SIGTERM):
            assert slot.process is not None
            try:
                await asyncio.wait_for(slot.process.wait(), STOP_S)
            except TimeoutError:
                slot.process.kill()

    def join(self, number: int) -> None:
        """There is a worker in this slot again."""
        slot = self._slots[number]
        slot.wanted = True
        slot.changed.set()

    async def stop(self) -> None:
        """All have stopped as they were told to."""
        await asyncio.gather(*(self.leave(number) for number in range(len(self))))

    async def ready(self) -> None:
        """All workers have their groups' word, or READY_S has passed."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and not all(_READY in self.said(number) for number in range(len(self))):
            await asyncio.sleep(0.1)

    def said(self, number: int = 0) -> str:
        """Everything the workers of a slot have said."""
        log = self._slots[number].log
        return log.read_text(errors="replace") if log.exists() else ""

    async def watch_memory(self) -> list[tuple[float, int]]:
        """(second, resident bytes of all workers) until cancelled."""
        samples: list[tuple[float, int]] = []
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                samples.append((time.monotonic(), sum(resident(pid) for n in range(len(self)) if (pid := self.pid(n)) is not None)))
                await asyncio.sleep(0.5)
        return samples

    async def _keep(self, slot: _Slot) -> None:
        while True:
            if not slot.wanted:
                slot.changed.clear()
                await slot.changed.wait()
                continue
            slot.process = await self._spawn(slot)
            code = await slot.process.wait()
            self.exits[code] += 1
            if code >= 0 and slot.wanted:
                await asyncio.sleep(BACKOFF_S)

    async def _spawn(self, slot: _Slot) -> asyncio.subprocess.Process:
        variables = {f"DRUMBEAT_{name.upper()}": str(getattr(slot.settings, name)) for name in _SETTINGS}
        variables["DRUMBEAT_LISTEN"] = "127.0.0.1:0"
        with slot.log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *with_parent([sys.executable, "-m", *self.module.split(), "worker"], variables),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                start_new_session=True,
            )


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0
