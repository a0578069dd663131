"""What detect tells curate, one record per detect partition and tick: surges of single terms, and what was said of brands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Phase = Literal["opened", "grown", "faded"]


class SampleRef(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Where one post lies in the raw topic. Ordered by the hash of that place, so a bottom-k of refs is a MinHash of the posts."""

    place_hash: int
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
    samples: tuple[SampleRef, ...] = ()  # smallest hashes first, at most MAX_SAMPLES
    background: tuple[SampleRef, ...] = ()  # posts of the term from before the surge, if any are remembered


MAX_SAMPLES = 32


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was counted of a watched brand in the ticks up to `end_ms`, none of them in the tally before."""

    term: str  # brand:ID
    end_ms: int  # log time of the last of its ticks
    events: int
    sentiment_events: int = 0
    sentiment_milli: int = 0
    reach: int = 0
    facets: dict[str, int] = {}  # lang:en, platform:x, community:r/python; events, most frequent first, at most MAX_FACETS
    samples: tuple[SampleRef, ...] = ()  # smallest hashes first, at most TALLY_SAMPLES


MAX_FACETS = 32
TALLY_SAMPLES = 8


class CandidateBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Surges of detect partition `partition` at tick `tick_ms`. Batches of a partition are numbered without gap from 0."""

    partition: int
    partitions: int  # of the partials topic, so that curate knows whom to wait for
    sequence: int
    tick_ms: int  # log time; never goes back
    surges: tuple[Surge, ...] = ()
    tallies: tuple[Tally, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[CandidateBatch, ...])


RECORD_SURGES = 1_000
"""In one record, as long as a batch can be split off: each is up to 2 kB, and a replay tells of hours at once."""


def records_of(batches: Sequence[CandidateBatch]) -> list[bytes]:
    """All batches in records of at most RECORD_SURGES batches and surges each; a single batch is never split."""
    groups: list[list[CandidateBatch]] = []
    room = 0
    for batch in batches:
        size = max(len(batch.surges) + len(batch.tallies), 1)
        if size > room:
            groups.append([])
            room = RECORD_SURGES
        groups[-1].append(batch)
        room -= size
    return [encode_candidates(tuple(group)) for group in groups]


def encode_candidates(batches: tuple[CandidateBatch, ...]) -> bytes:
    """Consecutive batches of one partition as one record; what counts is the batch's number, not how they are grouped."""
    return _encoder.encode(batches)


def decode_candidates(data: bytes) -> tuple[CandidateBatch, ...]:
    """The batches of `encode_candidates`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
