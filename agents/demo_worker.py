"""The demo's worker: `drumbeat worker` as a child process, watched until it is ready, until it is done, and ended in good order."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

import agents
from agents.local import stop_process, with_parent
from agents.settings import Settings
from schemas.errors import DrumbeatError

READY_TIMEOUT_S = 120.0  # imports and joins take 5 s on a quiet machine, compiling half a minute where nothing is kept
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.2
_LOG_LINES = 15


class WorkerFailed(DrumbeatError):
    """The worker ended, or did not become ready; the message holds the end of its log."""


class LocalWorker:
    """Inside `async with`, the worker is ready; afterwards it has ended. Its log is kept at `log`."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._settings, self._log = settings, log
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = f"http://{settings.listen}"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        with self._log.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *with_parent([sys.executable, "-m", "agents", "worker"], _variables(self._settings)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=Path(agents.__file__).parents[1],  # so that an uninstalled tree is found too
                start_new_session=True,  # a Ctrl-C in the terminal ends the feed first, the worker when it is done
            )
        try:
            deadline = time.monotonic() + READY_TIMEOUT_S
            while not (await self.health())[0]:
                if time.monotonic() > deadline:
                    raise WorkerFailed(
                        f"the worker is not ready after {READY_TIMEOUT_S:.0f} s; the end of its log:\n{self.log_end()}"
                    )
                await asyncio.sleep(_POLL_S)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._end()

    async def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether it is ready, and its report; raises WorkerFailed if it has ended."""
        assert self._process is not None
        assert self._session is not None
        if self._process.returncode is not None:
            raise WorkerFailed(f"the worker ended with exit code {self._process.returncode}; the end of its log:\n{self.log_end()}")
        try:
            async with self._session.get(f"{self.url}/readyz") as response:
                return response.status == 200, await response.json()
        except (aiohttp.ClientError, TimeoutError):
            return False, {}

    async def lag(self) -> int | None:
        """Records that its agents have not read yet, all together; None if it does not answer."""
        ready, report = await self.health()
        return sum(report["lag"].values()) if ready else None

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        assert self._process is not None
        return await stop_process(self._process, STOP_TIMEOUT_S)

    def log_end(self) -> str:
        """The last lines it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    async def _end(self) -> None:
        if self._process is not None:
            await asyncio.shield(stop_process(self._process, STOP_TIMEOUT_S))
        if self._session is not None:
            await self._session.close()


def _variables(settings: Settings) -> dict[str, str]:
    """The settings in which a demo differs, as the worker's environment."""
    names = ("kafka", "clickhouse", "listen", "prefix", "session_timeout_ms", "lateness_ms", "dedup_horizon_ms", "min_support")
    return {f"DRUMBEAT_{name.upper()}": str(getattr(settings, name)) for name in names}
