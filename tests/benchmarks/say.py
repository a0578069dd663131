"""How processes of a benchmark tell whoever started them: JSON lines on standard output. Needs nothing but Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path


def say(what: Mapping[str, object]) -> None:
    """One line, at once; Faust puts its log in the place of sys.stdout."""
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(what) + "\n")
    sys.__stdout__.flush()


def peak() -> dict[str, int]:
    """The most resident memory this process had so far. What getrusage says includes the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"peak_bytes": int(line.split()[1]) * 1024}
