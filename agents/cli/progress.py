"""Recordings opened by name, a bar while they are read, and what was met in them, for `replay` and `backtest`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from agents.cli.output import remark
from agents.recordings import STDIN, Line, Recording
from schemas.errors import ConfigurationError

LONG_WAIT_S = 10.0  # a pause worth a word
REDRAW_LINES = 500


def open_recordings(files: Sequence[str], platform: str) -> list[Recording]:
    """One recording per file; raises ConfigurationError for a file that is missing or named twice."""
    from schemas.platforms import decoder

    if len(set(files)) != len(files):
        raise ConfigurationError("a file is named twice")
    for name in files:
        if name != STDIN and not Path(name).exists():
            raise ConfigurationError(f"{name}: no such file")
    return [Recording(name, decoder(platform), int(time.time() * 1000)) for name in files]


class Progress:
    """A bar over the bytes of all files, on a terminal only."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings
        self._lines = 0

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        total = sum(recording.bytes_total for recording in self._recordings) or None
        self._bar = tqdm(total=total, unit="B", unit_scale=True, disable=None, mininterval=0.2, leave=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    def update(self, line: Line, wait_s: float = 0.0) -> None:
        """One more line was read; `wait_s` is how long it will be held back."""
        self._lines += 1
        if wait_s > LONG_WAIT_S:
            remark(f"waiting {wait_s:,.0f} s for the next post, of {clock(line.order_ms)}; --speed max does not wait")
        if not self._bar.disable and (wait_s or self._lines % REDRAW_LINES == 0):
            self._bar.set_postfix_str(f"{self._lines:,} posts, {clock(line.order_ms)}", refresh=False)
            self._bar.update(sum(recording.bytes_read for recording in self._recordings) - self._bar.n)


def describe(recording: Recording) -> str:
    """What was met in a file, in words."""
    parts = [f"{recording.lines:,} lines"]
    if recording.broken:
        parts.append(f"{recording.broken:,} do not decode (kept: they become dead letters)")
    if recording.skipped:
        parts.append(f"{recording.skipped:,} are no posts (kept: they are counted as filtered)")
    if recording.too_long:
        parts.append(f"{recording.too_long:,} left out, longer than any broker takes")
    if recording.blank:
        parts.append(f"{recording.blank:,} left out, blank")
    if recording.backwards:
        back_s = recording.most_backwards_ms / 1000
        parts.append(f"warning: {recording.backwards:,} earlier than the line before, by up to {back_s:,.0f} s")
    return ", ".join(parts)


def clock(ms: int) -> str:
    """A time as people read it, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
