"""The thread in which ingest and detect of this worker compute, one at a time; what little curate does it does in the event loop.

Both want the interpreter: two at a time would take turns at it every few milliseconds, each with the other's caches cold and the
other's memory taken anew. What only waits, as for ClickHouse, has other threads; checkpoints have one that gives way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_thread = ThreadPoolExecutor(1, "compute")


async def computed(work: Callable[..., _Result], *arguments: Any) -> _Result:
    """What the work returns; it begins when all is done that was asked for before."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work, *arguments)
