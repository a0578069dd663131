"""What was counted of terms, taken apart for the detector: columns for its loops, single rows for the tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from schemas.candidates import SampleRef
from schemas.frames import COUNTS
from streams.baseline import Ints
from streams.samples import references, references_of
from streams.term_table import Hashes
from streams.tracks import WATCHED_PREFIX, Row

_OF_ALL = "all:"  # no term can surge against itself

_FEW = 200  # rows up to which a loop in Python is faster than the first column operation
_FEW_ROWS = 100  # up to which it is faster to look into a table row by row than to take it apart
_KNOWN_TERMS = 8_192

_BYTES = pl.col("term").cast(pl.Binary).alias("bytes")
_WATCHED = pl.col("term").str.starts_with(WATCHED_PREFIX).alias("watched")
_OWN = (~pl.col("term").str.starts_with(_OF_ALL)).alias("own")


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows of frames.TERM_ROWS, without those of terms that cannot surge."""

    hashes: Hashes  # of the terms, none of them 0, which marks a free slot
    watched: NDArray[np.bool_]
    windows: Ints  # starts, ms
    events: Ints
    _rows: Ints  # which rows of the frame they are
    _frame: pl.DataFrame
    _read: list[Row] = field(default_factory=list)  # all rows of the frame, once they are wanted

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Counted:
        """The rows of this frame."""
        terms = frame["term"]
        if len(terms) < _FEW:
            known = list(map(_known, terms.to_list()))
            hashes = np.array([one.hash for one in known], np.uint64)
            watched = np.array([one.watched for one in known], np.bool_)
            rows = np.array([i for i, one in enumerate(known) if one.own], np.int64)
        else:
            columns = frame.select(_BYTES, _WATCHED, _OWN)
            hashes = np.fromiter(map(xxh3_64_intdigest, columns["bytes"].to_list()), np.uint64, len(terms))
            hashes[hashes == 0] = 1
            watched, rows = columns["watched"].to_numpy(writable=True), np.flatnonzero(columns["own"].to_numpy())
        windows, events = frame["window_start_ms"].to_numpy(writable=True), frame["events"].to_numpy(writable=True)
        if len(rows) < len(terms):
            hashes, watched, windows, events = hashes[rows], watched[rows], windows[rows], events[rows]
        return cls(hashes, watched, windows, events, rows, frame)

    def part(self, start: int, end: int) -> Counted:
        """What these rows of the frame hold."""
        first, last = (start, end) if len(self._rows) == self._frame.height else np.searchsorted(self._rows, (start, end)).tolist()
        some = slice(first, last)
        own = self.hashes[some], self.watched[some], self.windows[some], self.events[some], self._rows[some]
        return Counted(*own, self._frame, self._read)

    def read(self, at: Ints) -> Iterator[Row]:
        """These of the rows, in this order."""
        if not self._read and 2 * len(at) > len(self.hashes):  # as of a few watched terms in a quiet stream
            self._read.extend(_rows(self._frame))
        places = self._rows[at]
        if self._read:
            return map(self._read.__getitem__, places.tolist())
        if len(at) <= _FEW_ROWS:
            return (_row(self._frame.row(i)) for i in places.tolist())
        return _rows(self._frame[places])


class _Known(NamedTuple):
    """What there is to know of a term by its name."""

    hash: int
    watched: bool
    own: bool


@lru_cache(_KNOWN_TERMS)
def _known(term: str) -> _Known:
    return _Known(xxh3_64_intdigest(term.encode()) or 1, term.startswith(WATCHED_PREFIX), not term.startswith(_OF_ALL))


def _row(values: tuple[Any, ...]) -> Row:
    samples = values[-1]
    return Row(values[1], values[0], values[2:-2], values[-2] or (), references(samples) if samples else ())


def _rows(frame: pl.DataFrame) -> Iterator[Row]:
    counts = zip(*(frame[name].to_list() for name in COUNTS), strict=True)
    return map(Row, frame["term"].to_list(), frame["window_start_ms"].to_list(), counts, _lists(frame["authors"]), _samples(frame))


def _lists(column: pl.Series) -> list[list[int]]:
    return [[] if one is None else one for one in column.to_list()]


def _samples(frame: pl.DataFrame) -> Iterator[list[SampleRef]]:
    """The places of each row as references."""
    lengths = frame["samples"].list.len().fill_null(0).to_list()
    refs = iter(references_of(frame["samples"].explode(empty_as_null=False).drop_nulls().to_numpy()))
    return (list(islice(refs, length)) for length in lengths)
