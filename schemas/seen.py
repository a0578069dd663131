"""What ingest must remember of a raw partition beyond a cut: packed ids and the log clock, one record per commit."""

from __future__ import annotations

import msgspec


class SeenIds(msgspec.Struct, frozen=True, kw_only=True):
    """Sightings of `[start, end)` of raw partition `source`: a function of the log, so sending it twice is harmless."""

    source: int
    start: int
    end: int
    clock_ms: int  # log clock before record `end`; NO_CLOCK_MS: none yet
    ids: bytes  # little-endian uint64, one per distinct id
    steps: bytes  # little-endian uint32, seconds of the log clock of the latest sight, one per id
    records: int = 0  # in [start, end)
    dead: int = 0  # of these, malformed


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SeenIds)


def encode_seen(seen: SeenIds) -> bytes:
    """The record as msgpack; same record, same bytes."""
    return _encoder.encode(seen)


def decode_seen(data: bytes) -> SeenIds:
    """The record of `encode_seen`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
