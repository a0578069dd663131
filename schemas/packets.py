"""What ingest tells detect about one segment of one raw partition."""

from __future__ import annotations

import msgspec
import polars as pl

from schemas import frames


class Packet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of one segment `[start, end)` of raw partition `source` for one partials partition.

    Final packets of a source tile its log. A provisional one holds the open segment so far and replaces the one before.
    """

    source: int
    sources: int  # partitions of the raw topic, so that detect knows whom to wait for
    start: int
    end: int
    final: bool
    clock_ms: int | None  # log clock behind the segment: no more on-time events of this source before it; None: no clock yet
    idle_ms: int = 0  # provisional only: how long the source had nothing new; 0 while it flows
    behind: bool = False  # the worker was still catching up with the log when it sent this
    records: int = 0  # raw records in the segment = counted + duplicates + filtered + dead
    counted: int = 0
    duplicates: int = 0
    filtered: int = 0
    dead: int = 0
    terms: bytes = b""  # frames.TERM_ROWS as Arrow IPC; empty: no rows
    facets: bytes = b""  # frames.FACET_ROWS


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Packet)


def encode_packet(packet: Packet) -> bytes:
    """The packet as msgpack; same packet, same bytes."""
    return _encoder.encode(packet)


def decode_packet(data: bytes) -> Packet:
    """The packet of `encode_packet`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)


def term_rows(packet: Packet) -> pl.DataFrame:
    """The packet's counts as a frame of `frames.TERM_ROWS`."""
    return frames.from_bytes(packet.terms) if packet.terms else frames.empty(frames.TERM_ROWS)


def facet_rows(packet: Packet) -> pl.DataFrame:
    """The packet's break-down as a frame of `frames.FACET_ROWS`."""
    return frames.from_bytes(packet.facets) if packet.facets else frames.empty(frames.FACET_ROWS)
