"""A worker that says when detect has counted what: for each packet its source, where its counted records end, and the time.

    python -m tests.benchmarks.told_worker worker --agents ...

is `drumbeat`, with the function that applies a packet wrapped from outside.
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
_apply = _agent.detect


@functools.wraps(_apply)
def _told(state: Any, packet: Any, offset: int, params: Any) -> Any:
    begun = time.thread_time()
    done = _apply(state, packet, offset, params)
    took_ms, end = (time.thread_time() - begun) * 1_000, packet.segments[-1].end
    say({"q": params.windows.partition, "source": packet.source, "end": end, "took_ms": took_ms, "at_ms": time.time() * 1_000})
    return done


if __name__ == "__main__":
    _agent.detect = _told
    sys.exit(main(sys.argv[1:]))
