"""A worker as users start it: a process of its own, asked over its own page, ended by signals."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from agents.local import with_parent
from agents.settings import Settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 100.0  # on a loaded machine; on a quiet one everything here takes a few seconds
_POLL_S = 0.02
_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_SETTINGS = ("kafka", "clickhouse", "prefix", "session_timeout_ms", "lateness_ms", "min_support", "malformed")


class Worker:
    """Inside `async with` it is ready, unless `ready` is False; afterwards it has ended. Its log is appended to `log`."""

    def __init__(self, settings: Settings, log: Path, *, module: str = "agents", agents: str = "", ready: bool = True) -> None:
        self.settings, self.log, self.url = settings, log, ""
        self._command = ["-m", module, "worker", *(["--agents", agents] if agents else [])]
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        said = self.log.stat().st_size if self.log.exists() else 0
        variables = {f"DRUMBEAT_{name.upper()}": str(getattr(self.settings, name)) for name in _SETTINGS}
        raw = ",".join(f"{one.topic}:{one.platform}" for one in self.settings.raw_topics)
        variables |= {"DRUMBEAT_LISTEN": "127.0.0.1:0", "DRUMBEAT_RAW": raw}
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *with_parent([sys.executable, *self._command], variables),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                start_new_session=True,
            )
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S))
        try:
            if self._ready:
                await until(lambda: self._has_address(said), "the worker says where it listens", self)
                await until(self.is_ready, "the worker is ready", self)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._end()

    @property
    def pid(self) -> int:
        """Its process id, also after it ended."""
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.returncode

    async def kill(self) -> None:
        """kill -9: it has no say in it."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM, and its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    async def is_ready(self) -> bool:
        """What /readyz says."""
        status, _ = await self.get("/readyz")
        return status == 200

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        assert self._session is not None
        async with self._session.get(self.url + path) as response:
            return response.status, await response.text()

    async def query(self, sql: str) -> dict[str, list[Any]]:
        """The columns of a SELECT, asked as people do."""
        assert self._session is not None
        async with self._session.post(f"{self.url}/query", data=sql, headers={"X-Drumbeat": "query"}) as response:
            text = await response.text()
            assert response.status == 200, text
            columns: dict[str, list[Any]] = orjson.loads(text)
            return columns

    async def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric that have these labels; 0 if there are none yet."""
        _, text = await self.get("/metrics")
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        samples = [(set((found[1] or "").split(",")), float(found[2])) for found in _SAMPLE.findall(text) if found[0] == name]
        assert f"# HELP {name}" in text, f"no metric {name}"
        return sum(value for have, value in samples if wanted <= have)

    def log_end(self) -> str:
        """What it said last."""
        return self.log.read_text(errors="replace")[-4_000:] if self.log.exists() else ""

    async def _has_address(self, start: int) -> bool:
        text = self.log.read_bytes()[start:].decode(errors="replace")
        found = re.search(r"page, metrics and health on (http://\S+)$", text, re.MULTILINE)
        self.url = found[1] if found else ""
        return bool(found)

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def stored(worker: Worker, term: str) -> int:
    """Events of a term in all stored windows."""
    sums = await worker.query(f"SELECT toInt64(sum(events)) AS n FROM windows_10s WHERE term = '{term}'")
    return int(sums["n"][0])


def stores(worker: Worker, term: str, events: int) -> Callable[[], Awaitable[bool]]:
    """The condition that so many events of a term are stored."""

    async def enough() -> bool:
        return await stored(worker, term) >= events

    return enough


async def until(condition: Callable[[], Awaitable[object]], what: str, worker: Worker, *, patience_s: float = PATIENCE_S) -> None:
    """Returns when the condition holds; fails when the worker ends before that, or after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not (seen := await condition()):
        assert worker.returncode is None, f"the worker ended with {worker.returncode} before {what}\n{worker.log_end()}"
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what} (seen: {seen!r})\n{worker.log_end()}"
        await asyncio.sleep(_POLL_S)
