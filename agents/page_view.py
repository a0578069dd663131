"""What the page shows: the latest word on each moment and the last minutes of counts. Bounded, whatever arrives.

Pure: records in, plain dicts out. A row counts once however often it comes: of two with one key the higher version stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import polars as pl

from schemas import frames
from schemas.moments import Moment
from schemas.windows import WINDOW_MS, WINDOW_ROWS, WindowBatch

MAX_MOMENTS = 60
KEEP_WINDOWS = 90  # 15 minutes of base windows
TERMS_PER_BATCH = 400  # the largest of a batch, besides watched ones; enough for every lead term that one could see on a chart
MAX_TERMS_PER_WINDOW = 2_000
MAX_PARTS = 32  # of a term in a window: one, or one more for every late segment once the window was forgotten
TOP_TERMS = 14
TOP_WINDOWS = 6  # top terms are those of the last minute
_CHART_TERMS = 24

Json = dict[str, Any]


class PageView:
    """The state behind the page; `apply_*` take records, `snapshot` and `counts` give JSON."""

    def __init__(self) -> None:
        self._moments: dict[str, Moment] = {}
        self._cells: dict[int, dict[str, dict[str, tuple[int, int]]]] = {}  # window start -> term -> part -> (version, events)
        self._open: dict[str, int] = {}
        self._opened = {True: 0, False: 0}  # organic -> moments ever opened

    @property
    def cells(self) -> int:
        """Terms in all windows."""
        return sum(len(terms) for terms in self._cells.values())

    @property
    def moments(self) -> int:
        """Moments that are shown."""
        return len(self._moments)

    def apply_moment(self, moment: Moment) -> bool:
        """Whether this was news: a moment never goes back to a lower sequence."""
        known = self._moments.get(moment.moment_id)
        if known is not None and known.sequence >= moment.sequence:
            return False
        if known is None:
            self._opened[moment.organic] += 1
        self._moments.pop(moment.moment_id, None)
        self._moments[moment.moment_id] = moment  # newest last
        if len(self._moments) > MAX_MOMENTS:
            closed = (key for key, kept in self._moments.items() if kept.status == "closed")
            del self._moments[next(closed, next(iter(self._moments)))]
        return True

    def apply_windows(self, batch: WindowBatch) -> None:
        """Keep the watched terms and the largest others of the batch."""
        rows = frames.from_bytes(batch.rows) if batch.rows else frames.empty(WINDOW_ROWS)
        watched = frames.is_watched(pl.col("term"))
        none = pl.col("events") == 0  # was told before, and is nothing after all
        largest = rows.filter(~watched & ~none).top_k(TERMS_PER_BATCH, by="events")
        kept = pl.concat([rows.filter(watched | none), largest]).select("window_start_ms", "term", "part", "version", "events")
        for start_ms, term, part, version, events in kept.iter_rows():
            if not events:
                self._take_off(start_ms, term, part, version)
                continue
            terms = self._cells.setdefault(start_ms, {})
            if term not in terms and len(terms) >= MAX_TERMS_PER_WINDOW:
                continue
            parts = terms.setdefault(term, {})
            if part not in parts and len(parts) >= MAX_PARTS:
                continue
            if part not in parts or parts[part][0] <= version:
                parts[part] = (version, events)
        for start_ms in sorted(self._cells)[:-KEEP_WINDOWS]:
            del self._cells[start_ms]

    def apply_open(self, counts: Mapping[str, int]) -> None:
        """Provisional counts of windows that are still open, replacing the ones before."""
        self._open = dict(counts)

    def moment_json(self, moment: Moment) -> Json:
        """A moment as the page wants it: with a chart of its lead term."""
        return {**msgspec.to_builtins(moment), "points": self._points(moment.lead_term)}

    def counts(self) -> Json:
        """Everything but the moments: totals, brands, top terms, and the charts of open moments."""
        brands = sorted({term for terms in self._cells.values() for term in terms if term.startswith("brand:")})
        leads = [moment for moment in self._moments.values() if moment.status != "closed"]
        newest = max(self._cells, default=None)
        return {
            "window_ms": WINDOW_MS,
            "newest_ms": newest,
            "totals": {
                "posts": sum(self._events(start_ms, "all:posts") for start_ms in self._cells),
                "windows": len(self._cells),
                "posts_per_s": self._events(newest, "all:posts") * 1000 / WINDOW_MS if newest is not None else 0.0,
                "open": sum(moment.organic for moment in leads),
                "opened": self._opened[True],
                "inorganic": self._opened[False],
            },
            "all": self._points("all:posts"),
            "brands": [
                {"term": term, "points": self._points(term), "open": self._open.get(term)} for term in brands[:_CHART_TERMS]
            ],
            "top": [{"term": term, "events": events} for term, events in self._top()],
            "charts": {moment.moment_id: self._points(moment.lead_term) for moment in leads[-_CHART_TERMS:]},
        }

    def snapshot(self) -> Json:
        """All that a page needs that was just opened; the moment that opened last comes first."""
        newest_first = sorted(self._moments.values(), key=lambda moment: (moment.opened_ms, moment.moment_id), reverse=True)
        return {**self.counts(), "moments": [self.moment_json(moment) for moment in newest_first]}

    def _take_off(self, start_ms: int, term: str, part: str, version: int) -> None:
        terms = self._cells.get(start_ms, {})
        parts = terms.get(term, {})
        if part in parts and parts[part][0] <= version:
            del parts[part]
            if not parts:
                del terms[term]
            if not terms:
                del self._cells[start_ms]

    def _events(self, start_ms: int | None, term: str) -> int:
        if start_ms is None:
            return 0
        return sum(events for _, events in self._cells.get(start_ms, {}).get(term, {}).values())

    def _points(self, term: str) -> list[int]:
        """Events per base window, oldest first, without holes: a window that is not there had nothing worth storing."""
        return [self._events(start_ms, term) for start_ms in self._starts()]

    def _starts(self) -> Iterator[int]:
        newest = max(self._cells, default=None)
        if newest is not None:
            oldest = max(min(self._cells), newest - (KEEP_WINDOWS - 1) * WINDOW_MS)
            yield from range(oldest, newest + 1, WINDOW_MS)

    def _top(self) -> list[tuple[str, int]]:
        sums: dict[str, int] = {}
        for start_ms in sorted(self._cells)[-TOP_WINDOWS:]:
            for term in self._cells[start_ms]:
                if not term.startswith(frames.WATCHED_KINDS):
                    sums[term] = sums.get(term, 0) + self._events(start_ms, term)
        return sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:TOP_TERMS]
