"""What detect tells curate: surges of single terms, one record per detect partition and tick."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["opened", "grown", "faded"]


class SampleRef(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where one post lies in the raw topic. Ordered by `id_hash`, so a bottom-k of refs is a MinHash of the posts."""

    id_hash: int
    partition: int
    offset: int


class Surge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A term rising faster than its own past says it should, as one detect partition sees it.

    All times are UTC epoch ms of the event/log clock. One surge = one (term, opened_ms).
    """

    term: str
    phase: Phase
    opened_ms: int  # log time of the tick at which the surge opened; constant over its life
    tick_ms: int  # log time of this statement
    since_ms: int  # start of the first window that belongs to the surge
    scale_ms: int  # the time scale that says so most clearly
    observed: int  # events in the last scale_ms
    expected: float  # events in scale_ms that the term's own past says
    score: float  # surprise, -log10 of the chance of `observed` under `expected`; capped at 999
    peak: int = 0  # highest `observed` at this scale so far
    events: int = 0  # events since since_ms
    originals: int = 0
    replies: int = 0
    reposts: int = 0
    authors: int = 0  # distinct known authors since since_ms (KMV estimate)
    unknown_authors: int = 0  # events without author since since_ms
    sentiment_events: int = 0
    sentiment_milli: int = 0
    usual_sentiment_milli: int | None = None  # mean of the term's own past, per event; None: too little known
    reach: int = 0
    samples: tuple[SampleRef, ...] = ()  # smallest id hashes first, at most MAX_SAMPLES
    background: tuple[SampleRef, ...] = ()  # posts of the term from before the surge, if any are remembered


MAX_SAMPLES = 32


class CandidateBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Surges of detect partition `partition` at tick `tick_ms`. Batches of a partition are numbered without gap from 0."""

    partition: int
    partitions: int  # of the partials topic, so that curate knows whom to wait for
    sequence: int
    tick_ms: int  # log time; never goes back
    surges: tuple[Surge, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[CandidateBatch, ...])


def encode_candidates(batches: tuple[CandidateBatch, ...]) -> bytes:
    """Consecutive batches of one partition as one record; what counts is the batch's number, not how they are grouped."""
    return _encoder.encode(batches)


def decode_candidates(data: bytes) -> tuple[CandidateBatch, ...]:
    """The batches of `encode_candidates`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
