"""Moments and the alerts about them: CloudEvents 1.0 JSON on social.moments, one message per (moment id, sequence)."""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

Status = Literal["opened", "updated", "closed"]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One post that shows what the moment is about; text cut to 280 characters, no author."""

    text: str
    platform: str
    url: str = ""
    lang: str = ""
    event_ms: int | None = None


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word, phrase or hashtag that distinguishes the moment from the usual talk."""

    text: str
    posts: int  # sample posts that hold it
    score: float  # log-odds, higher = more distinguishing


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One surge of talk, as alerted. Times are UTC epoch ms of the event clock."""

    moment_id: str
    sequence: int  # 0 for opened, then 1, 2, ...; one body per (moment_id, sequence)
    status: Status
    organic: bool  # False: flooding by few accounts or copies; reported, but no moment
    lead_term: str
    terms: tuple[str, ...]  # all terms that move together, lead first
    brands: tuple[str, ...]
    severity: int  # 1..10
    score: float
    reasons: tuple[str, ...]  # codes: surge, crisis, praise, mood_falls, community, flood_copies, ...; the README has all
    opened_ms: int
    since_ms: int
    updated_ms: int
    closed_ms: int | None = None
    lead_time_ms: int  # how long the term had been rising when it was alerted: opened_ms - since_ms
    scale_ms: int
    observed: int  # events in the last scale_ms
    expected: float
    peak: int
    events: int  # events since since_ms
    authors: int  # distinct known authors (estimate)
    unknown_authors: int
    organic_share: float  # 0..1, share of the sampled posts that are neither copies nor of the top author
    sentiment: float | None  # -1..1, mean since since_ms
    sentiment_shift: float | None  # against the term's own past
    originals: int
    replies: int
    reposts: int
    reach: int
    platforms: dict[str, int]  # of the sampled posts
    languages: dict[str, int]
    communities: dict[str, int]
    words: tuple[Word, ...]
    samples: tuple[Sample, ...]  # at most five
    why: str  # one plain sentence
    title: str = ""  # what people call it: the brand's name, #hashtag, or the phrase that the lead term mostly stands in


CLOUDEVENT_TYPES = {
    ("opened", True): "io.drumbeat.moment.opened",
    ("updated", True): "io.drumbeat.moment.updated",
    ("closed", True): "io.drumbeat.moment.closed",
    ("opened", False): "io.drumbeat.inorganic.opened",
    ("updated", False): "io.drumbeat.inorganic.updated",
    ("closed", False): "io.drumbeat.inorganic.closed",
}


def encode_moment(moment: Moment) -> bytes:
    """The alert as CloudEvents 1.0 JSON (structured mode); same moment, same bytes."""
    from datetime import UTC, datetime

    time = datetime.fromtimestamp(moment.updated_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{moment.moment_id}/{moment.sequence}",
            "source": "/drumbeat/curate",
            "type": CLOUDEVENT_TYPES[moment.status, moment.organic],
            "subject": moment.lead_term,
            "time": time,
            "datacontenttype": "application/json",
            "data": msgspec.to_builtins(moment),
        }
    )


class _Envelope(msgspec.Struct):
    data: Moment


_decoder = msgspec.json.Decoder(_Envelope)


def decode_moment(data: bytes) -> Moment:
    """The moment inside a CloudEvent of `encode_moment`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data).data
