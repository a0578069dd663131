"""What ingest tells detect about segments of one raw partition."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import polars as pl

from schemas import frames


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """Header of one segment `[start, end)`; records = counted + duplicates + filtered + dead."""

    start: int
    end: int
    step_ms: int  # start of the second of the log clock that the segment lies in; all its records share it
    clock_ms: int  # log clock including the record that ended the segment: no more on-time events in earlier seconds
    records: int = 0
    counted: int = 0
    duplicates: int = 0
    filtered: int = 0
    dead: int = 0


class Packet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts of consecutive segments of raw partition `source` for one partials partition.

    Segments of final packets tile the source's log; several may share a packet (when a worker catches up), and what
    counts is the segment: one that was seen before is dropped, whatever packet it comes in. A provisional packet holds
    the one open segment so far (or, empty, just says that the source is there) and replaces the one before.
    """

    source: int
    sources: int  # raw partitions in all, so that detect knows whom to wait for
    final: bool
    segments: tuple[Segment, ...]
    idle_ms: int = 0  # provisional only: how long the source had nothing new when this was sent; 0 while it flows
    behind: bool = False  # the worker was still catching up with the log when it sent this
    terms: bytes = b""  # PACKET_TERMS as Arrow IPC; empty: no rows
    facets: bytes = b""  # PACKET_FACETS


NO_CLOCK_MS = -1
"""clock_ms and step_ms of a source that has no log clock yet."""

PACKET_TERMS: dict[str, pl.DataType] = {"segment": pl.UInt32(), **frames.TERM_ROWS}
"""Term rows with the position of their segment in `Packet.segments`, sorted by segment, window and term."""

PACKET_FACETS: dict[str, pl.DataType] = {"segment": pl.UInt32(), **frames.FACET_ROWS}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Packet)


def encode_packet(packet: Packet, *, behind: bool = False) -> bytes:
    """The packet as msgpack; same packet, same bytes. `behind` is what the sender knows of its lag."""
    return _encoder.encode(msgspec.structs.replace(packet, behind=behind) if behind else packet)


def decode_packet(data: bytes) -> Packet:
    """The packet of `encode_packet`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)


def term_rows(packet: Packet, unpack: Callable[[bytes], pl.DataFrame] = frames.from_bytes) -> pl.DataFrame:
    """The packet's counts as a frame of `PACKET_TERMS`."""
    return unpack(packet.terms) if packet.terms else frames.empty(PACKET_TERMS)


def facet_rows(packet: Packet, unpack: Callable[[bytes], pl.DataFrame] = frames.from_bytes) -> pl.DataFrame:
    """The packet's break-down as a frame of `PACKET_FACETS`."""
    return unpack(packet.facets) if packet.facets else frames.empty(PACKET_FACETS)
