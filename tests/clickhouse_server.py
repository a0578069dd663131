"""A ClickHouse for tests: the HTTP interface over the embedded engine, in a process that may be killed, or in a thread.

    python -m tests.clickhouse_server --path DIR [--port N] [--user NAME] [--password WORD]

prints its port on one line when it listens, and ends by SIGTERM. Faults are switched over POST /control.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from agents.local import stop_process, with_parent
from tests.clickhouse_engine import Engine
from tests.clickhouse_faults import FaultKind, Tally
from tests.clickhouse_http import HttpInterface

START_TIMEOUT_S = 60.0  # 2 s on a quiet machine: the engine is a library of 175 MB
CONTROL_TIMEOUT_S = 30.0
_ATTEMPTS = 5  # at the port of before, which another process may hold for a moment
_ROOT = Path(__file__).parents[1]


class ClickHouseServer:
    """A process over the directory `path`. Inside `async with` it answers on `port`; afterwards it has ended.

    `kill` and `start` keep the port and the directory: what was acknowledged is there, faults are off, counts go on.
    """

    def __init__(self, path: Path, *, user: str = "default", password: str = "") -> None:
        self.path, self.user, self.password = path, user, password
        self.port = 0
        self.log = path.with_name(f"{path.name}.log")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    def dsn(self, database: str = "drumbeat") -> str:
        """What DRUMBEAT_CLICKHOUSE is to be."""
        return _dsn(self.user, self.password, self.port, database)

    async def start(self) -> None:
        """It answers: on a free port the first time, on the same one ever after."""
        assert self._process is None, "it runs"
        for _ in range(_ATTEMPTS):
            try:
                self.port = await asyncio.wait_for(self._spawn(), START_TIMEOUT_S)
            except BaseException:
                await self.kill()
                raise
            if self._process is not None:
                return
        raise RuntimeError(f"the server does not start: {self.log.read_text(errors='replace')[-2_000:]}")

    async def stop(self) -> None:
        """Ended by SIGTERM; nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.shield(stop_process(process))

    async def kill(self) -> None:
        """kill -9; nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def fail(self, kind: FaultKind, **options: Any) -> None:
        """One more fault is on; `options` are the fields of Fault: only, for_requests, status, code, seconds, text."""
        await self._control(do="fail", kind=kind, **options)

    async def heal(self) -> None:
        """No fault is on, and who waits is answered."""
        await self._control(do="heal")

    async def counts(self) -> dict[str, int]:
        """How often which fault hit, and what was taken, since the directory is new."""
        return await self._control(do="counts")

    async def _control(self, **order: Any) -> dict[str, int]:
        return await asyncio.to_thread(control, self.port, order)

    async def _spawn(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--path", str(self.path), "--port", str(self.port), "--user", self.user, "--password", self.password]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *with_parent([sys.executable, "-m", "tests.clickhouse_server", *arguments]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=_ROOT,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line:
            return int(line)
        await self._process.wait()
        self._process = None
        return self.port


class ClickHouseThread:
    """The same within this process, where one directory at a time can be open. Inside `with` it answers on `port`."""

    def __init__(self, path: Path, *, user: str = "default", password: str = "") -> None:
        self.path, self.user, self.password = path, user, password
        self.port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._listens: Future[int] = Future()

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._listens.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def dsn(self, database: str = "drumbeat") -> str:
        """What DRUMBEAT_CLICKHOUSE is to be."""
        return _dsn(self.user, self.password, self.port, database)

    def fail(self, kind: FaultKind, **options: Any) -> None:
        """As ClickHouseServer.fail."""
        control(self.port, {"do": "fail", "kind": kind, **options})

    def heal(self) -> None:
        """As ClickHouseServer.heal."""
        control(self.port, {"do": "heal"})

    def counts(self) -> dict[str, int]:
        """As ClickHouseServer.counts."""
        return control(self.port, {"do": "counts"})

    @property
    def seen(self) -> list[dict[str, str]]:
        """The URL parameters of the last requests."""
        return list(self._interface.seen)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            await serve(self.path, 0, {self.user: self.password}, self._say, self._ended)
        except BaseException as error:
            if self._listens.done():
                raise
            self._listens.set_exception(error)

    def _say(self, interface: HttpInterface, port: int) -> None:
        self._interface = interface
        self._listens.set_result(port)


def control(port: int, order: Mapping[str, Any]) -> dict[str, int]:
    """Have the server at `port` do it; its counts. Raises ValueError for what it cannot do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CONTROL_TIMEOUT_S)
    try:
        connection.request("POST", "/control", json.dumps(order))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(answer["error"])
    return answer


async def serve(
    path: Path, port: int, users: Mapping[str, str], listens: Callable[[HttpInterface, int], None], ended: asyncio.Event
) -> None:
    """Answers over the directory `path` until `ended`; says when it listens, and where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine, tally = Engine(path), Tally(path.with_name(f"{path.name}.counts"))
    try:
        interface = HttpInterface(engine, users, tally)
        async with interface.listening(port) as bound:
            listens(interface, bound)
            await ended.wait()
    finally:
        engine.close()
        tally.close()


def main() -> None:
    """What `python -m tests.clickhouse_server` does."""
    parser = argparse.ArgumentParser(description="A ClickHouse for tests: its HTTP interface over the embedded engine.")
    parser.add_argument("--path", type=Path, required=True, help="directory of the data; made if it is not there")
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0 takes a free one")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    arguments = parser.parse_args()

    async def run() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        users = {arguments.user: arguments.password}
        await serve(arguments.path, arguments.port, users, lambda _, port: print(port, flush=True), ended)  # noqa: T201

    asyncio.run(run())


def _dsn(user: str, password: str, port: int, database: str) -> str:
    return f"clickhouse://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


if __name__ == "__main__":
    main()
