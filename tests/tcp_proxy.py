"""A TCP proxy on loopback that behaves like the network between two machines, and fails like it when told to.

It is a process of its own (`tests/tcp_relay.py`): in a thread, a test that computes would slow it to 10 MB/s, where it carries 400.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from tests.tcp_relay import Counts, Mode

_RELAY = Path(__file__).with_name("tcp_relay.py")
_STEADY_PORTS = range(20_000, 32_000)  # below what Linux gives to outgoing connections


class TcpProxy:
    """Inside `with`, connections to `.address` reach `127.0.0.1:target`, as the mode says. Any thread may call any method.

    - `pass`: bytes flow, later by `delay_s` each way and at most `rate` bytes per second each way (all connections together).
    - `cut`: no byte and no close comes through and new connections wait; on the next `pass` all that waited flows on.
    - `cut_up`, `cut_down`: the same only towards the target, or only from it. New connections wait too: TCP needs both ways.
    - `reset`: every connection gets an RST at both ends, new ones are refused.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.target = target
        self.port = port or steady_port()
        self.mode: Mode = "reset"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_RELAY), str(self.target), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self.set("pass")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def set(self, mode: Mode, *, delay_s: float = 0.0, rate: float | None = None) -> None:
        """Holds from the return of this call on: after a cut no further byte comes through."""
        if rate is not None and rate <= 0:
            raise ValueError(f"rate must be more than 0 bytes/s, not {rate}; for none at all there is cut")
        self._ask({"mode": mode, "delay_s": delay_s, "rate": rate})
        self.mode = mode

    def counts(self) -> Counts:
        """So far."""
        return self._ask({})

    def _ask(self, order: dict[str, object]) -> Counts:
        with self._lock:
            assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(order).encode() + b"\n")
                self._process.stdin.flush()
            if line := self._process.stdout.readline():
                counts: Counts = json.loads(line)
                return counts
        raise OSError(f"the proxy on port {self.port} has ended, see its standard error")


def steady_port() -> int:
    """A loopback port that nobody listens on and that no outgoing connection is given: it can be listened on again later."""
    while True:
        port = random.choice(_STEADY_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
