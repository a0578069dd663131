"""Ticks without data: when an operator looks again although nothing came, as a function of the last tick with data alone.

So it does not matter how far a watermark moves at once: the operator sees the same ticks.
"""

from __future__ import annotations

from collections.abc import Iterator

STEP_MS = 1_000
QUIET_STEP_MS = 10_000
QUIET_UNTIL_MS = 900_000  # fading, closing and cool-down are over by then; a gap of months costs 92 ticks


def quiet_ticks(data_ms: int, after_ms: int, until_ms: int) -> Iterator[int]:
    """Ticks in (after_ms, until_ms] that follow the tick with data at `data_ms`: 1 s, 2 s, then every full 10 s up to 15 min."""
    for tick_ms in (data_ms + STEP_MS, data_ms + 2 * STEP_MS):
        if after_ms < tick_ms <= until_ms:
            yield tick_ms
    first = max(data_ms + 2 * STEP_MS, after_ms) // QUIET_STEP_MS * QUIET_STEP_MS + QUIET_STEP_MS
    yield from range(first, min(until_ms, data_ms + QUIET_UNTIL_MS) + 1, QUIET_STEP_MS)
