"""One moment as an inline SVG: counts of its lead term, what was expected, when it opened and closed. Numbers only, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from schemas.moments import Moment
from schemas.windows import WINDOW_MS

WIDTH, HEIGHT = 900, 200
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 20, 22
MAX_BARS = 120
# Bar widths that divide a minute, an hour or a day, so that the axis reads well
STEPS_MS = tuple(s * 1000 for s in (10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400))
MIN_AROUND_MS = 15 * 60_000


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one term in bars of `step_ms` from `start_ms` on."""

    start_ms: int
    step_ms: int
    counts: tuple[int, ...]

    @property
    def end_ms(self) -> int:
        """End of the last bar, not included."""
        return self.start_ms + self.step_ms * len(self.counts)


def span_of(history: Sequence[Moment]) -> tuple[int, int]:
    """The time to show: the moment, and before and after it as long as its time scale, at least a quarter of an hour."""
    first, last = history[0], history[-1]
    around_ms = max(2 * first.scale_ms, MIN_AROUND_MS)
    start_ms = min(first.since_ms, first.opened_ms) - around_ms
    return start_ms, (last.closed_ms or last.updated_ms) + around_ms // 2


def series(windows: Mapping[int, int], start_ms: int, end_ms: int) -> Series:
    """Base windows (start -> events) gathered into at most MAX_BARS bars."""
    step_ms = next((s for s in STEPS_MS if (end_ms - start_ms) / s <= MAX_BARS), STEPS_MS[-1])
    first = start_ms // step_ms
    bars = [0] * max(1, -(-(end_ms - first * step_ms) // step_ms))
    for window_ms, events in windows.items():
        if 0 <= (bar := window_ms // step_ms - first) < len(bars):
            bars[bar] += events
    return Series(first * step_ms, step_ms, tuple(bars))


def plot(shown: Series, history: Sequence[Moment]) -> str:
    """The SVG. It holds numbers and clock times only, no text of posts."""
    expected = [(m.updated_ms, m.expected * shown.step_ms / m.scale_ms) for m in history]
    top = max(1.0, *shown.counts, *(level for _, level in expected)) * 1.05
    scale = _Scale(shown, top)
    last = history[-1]
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="events per {duration(shown.step_ms)}">',
        _axis(scale),
        f'<path class="bars" d="{_bars(scale)}"/>',
        f'<path class="expected" d="{_expected(scale, expected)}"/>',
        _mark(scale, history[0].opened_ms, "opened"),
        _mark(scale, last.closed_ms, "closed") if last.closed_ms is not None else "",
        "</svg>",
    ]
    return "".join(parts)


def duration(ms: int) -> str:
    """A length of time as people say it: 10 s, 5 min, 2 h, 3 d."""
    for unit_ms, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= unit_ms:
            return f"{ms / unit_ms:.3g} {unit}"
    return f"{ms / 1000:.3g} s"


@dataclass(frozen=True, slots=True)
class _Scale:
    shown: Series
    top: float

    def x(self, ms: int) -> float:
        share = (ms - self.shown.start_ms) / (self.shown.end_ms - self.shown.start_ms)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, count: float) -> float:
        return HEIGHT - BOTTOM - count / self.top * (HEIGHT - TOP - BOTTOM)


def _bars(scale: _Scale) -> str:
    shown = scale.shown
    base = scale.y(0)
    steps = []
    for i, count in enumerate(shown.counts):
        if count:
            left, right = scale.x(shown.start_ms + i * shown.step_ms), scale.x(shown.start_ms + (i + 1) * shown.step_ms)
            steps.append(f"M{left:.1f} {base:.1f}V{scale.y(count):.1f}H{max(right - 0.5, left + 0.5):.1f}V{base:.1f}Z")
    return "".join(steps)


def _expected(scale: _Scale, levels: Sequence[tuple[int, float]]) -> str:
    """A step line: each level holds until the next statement."""
    steps = [f"M{LEFT} {scale.y(levels[0][1]):.1f}"]
    for (_, before), (at_ms, level) in pairwise(levels):
        if level != before:
            steps.append(f"H{scale.x(at_ms):.1f}V{scale.y(level):.1f}")
    return "".join(steps) + f"H{WIDTH - RIGHT}"


def _mark(scale: _Scale, at_ms: int, name: str) -> str:
    x = scale.x(at_ms)
    anchor = "end" if x > WIDTH * 0.85 else "start"
    text_x = x - 4 if anchor == "end" else x + 4
    return (
        f'<path class="{name}" d="M{x:.1f} {TOP - 8}V{HEIGHT - BOTTOM}"/>'
        f'<text class="{name}" x="{text_x:.1f}" y="{TOP - 6}" text-anchor="{anchor}">{name} {_clock(at_ms)}</text>'
    )


def _axis(scale: _Scale) -> str:
    shown = scale.shown
    middle_ms = (shown.start_ms + shown.end_ms) // 2 // WINDOW_MS * WINDOW_MS
    ticks = ((shown.start_ms, "start"), (middle_ms, "middle"), (shown.end_ms, "end"))
    times = "".join(
        f'<text x="{scale.x(ms):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{_date(ms)} {_clock(ms)}</text>'
        for ms, anchor in ticks
    )
    highest = max(shown.counts)
    return (
        f'<path class="axis" d="M{LEFT} {scale.y(0):.1f}H{WIDTH - RIGHT}"/>{times}'
        f'<text x="{LEFT - 6}" y="{scale.y(0):.1f}" text-anchor="end">0</text>'
        f'<text x="{LEFT - 6}" y="{scale.y(highest) + 4:.1f}" text-anchor="end">{highest:,}</text>'
    )


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
