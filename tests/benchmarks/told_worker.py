"""A worker that says when detect has counted what: for each packet its source, where its counted records end, and the time.

    python -m tests.benchmarks.told_worker worker --agents ...

is `drumbeat`, with the two functions that apply a packet wrapped from outside.
"""

from __future__ import annotations

import functools
import sys
import time
from importlib import import_module
from typing import Any

from agents.__main__ import main
from tests.benchmarks.say import say

_agent: Any = import_module("agents.detect")
_find, _count = _agent.find_surges, _agent.count_windows
_begun: dict[int, tuple[Any, float]] = {}  # by what the first half of a packet told: the packet, and how long it took


@functools.wraps(_find)
def _finds(state: Any, packet: Any, params: Any) -> Any:
    begun = time.thread_time()
    told = _find(state, packet, params)
    _begun[id(told)] = packet, time.thread_time() - begun
    return told


@functools.wraps(_count)
def _counts(state: Any, told: Any, offset: int, params: Any) -> Any:
    begun = time.thread_time()
    done = _count(state, told, offset, params)
    packet, before_s = _begun.pop(id(told))
    took_ms, end = (before_s + time.thread_time() - begun) * 1_000, packet.segments[-1].end
    say({"q": params.windows.partition, "source": packet.source, "end": end, "took_ms": took_ms, "at_ms": time.time() * 1_000})
    return done


if __name__ == "__main__":
    _agent.find_surges, _agent.count_windows = _finds, _counts
    sys.exit(main(sys.argv[1:]))
