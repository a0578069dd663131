"""Ticks without data: when an operator looks again although nothing came, as a function of the last tick with data alone.

So it does not matter how far a watermark moves at once: the operator sees the same ticks.
"""

from __future__ import annotations

from collections.abc import Iterator

STEP_MS = 1_000
QUIET_STEP_MS = 10_000
QUIET_UNTIL_MS = 900_000
SLOW_STEP_MS = 60_000
SLOW_UNTIL_MS = 3 * 3_600_000  # what surges at the scale of an hour has faded by then; a gap of months costs 257 ticks


def quiet_ticks(data_ms: int, after_ms: int, until_ms: int) -> Iterator[int]:
    """Ticks in (after_ms, until_ms] that follow the tick with data at `data_ms`.

    These are 1 s and 2 s behind it, then every full 10 s up to 15 min, then every full minute up to 3 h.
    """
    for tick_ms in (data_ms + STEP_MS, data_ms + 2 * STEP_MS):
        if after_ms < tick_ms <= until_ms:
            yield tick_ms
    yield from _steps(QUIET_STEP_MS, max(data_ms + 2 * STEP_MS, after_ms), min(until_ms, data_ms + QUIET_UNTIL_MS))
    yield from _steps(SLOW_STEP_MS, max(data_ms + QUIET_UNTIL_MS, after_ms), min(until_ms, data_ms + SLOW_UNTIL_MS))


def _steps(step_ms: int, after_ms: int, until_ms: int) -> range:
    """Multiples of `step_ms` in (after_ms, until_ms]."""
    return range(after_ms // step_ms * step_ms + step_ms, until_ms + 1, step_ms)
