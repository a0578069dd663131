"""What detect tells store: windows that closed or were corrected, packed in columns."""

from __future__ import annotations

import msgspec
import polars as pl

from schemas import frames

WINDOW_MS = 10_000
"""Length of a base window; wider ones are sums of these."""

WINDOW_ROWS: dict[str, pl.DataType] = {
    "window_start_ms": pl.Int64(),
    "term": pl.String(),
    "part": pl.String(),  # "<detect partition>" for the window itself; "<detect partition>/<source>:<start>-<end>" for events
    # that came after the window was forgotten: a row beside it, to be added. (term, window_start_ms, part) is the row's key
    "version": pl.Int64(),  # offset in social.partials behind which the row was made; of two rows with one key the higher is true
    **frames.COUNTS,
    "authors": pl.List(pl.UInt64()),  # k-minimum-values sketch
}

TOTAL_ROWS: dict[str, pl.DataType] = {
    "window_start_ms": pl.Int64(),
    "part": pl.String(),
    "version": pl.Int64(),
    "left_out_terms": pl.Int64(),  # (term, window) cells not stored because below the minimum support
    "left_out_events": pl.Int64(),  # events in those cells
}


class WindowBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that detect partition `partition` made. A replay makes rows with the same keys, and equal ones at equal versions."""

    partition: int
    rows: bytes = b""  # WINDOW_ROWS as Arrow IPC
    facets: bytes = b""  # frames.FACET_ROWS plus part and version: FACET_WINDOW_ROWS
    totals: bytes = b""  # TOTAL_ROWS


FACET_WINDOW_ROWS: dict[str, pl.DataType] = {
    **frames.FACET_ROWS,
    "part": pl.String(),
    "version": pl.Int64(),
}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(WindowBatch)


def encode_windows(batch: WindowBatch) -> bytes:
    """The batch as msgpack; same batch, same bytes."""
    return _encoder.encode(batch)


def decode_windows(data: bytes) -> WindowBatch:
    """The batch of `encode_windows`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
