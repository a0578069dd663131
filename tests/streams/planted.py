"""Campaigns and crowds fed through the whole pipeline: ordinary talk, then what is planted, over a few minutes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import orjson

from schemas.events import Event
from schemas.moments import Moment
from streams.pipeline import Pipeline, PipelineParams
from streams.records import Record
from tests.streams.crowds import START_MS, talk

QUIET_MIN, LASTS_MS = 20, 180_000


def told_of(planted: Sequence[Event], term: str, seed: int = 1) -> list[Moment]:
    """What is told of the term when these posts come within three minutes after twenty of ordinary talk."""
    chance = random.Random(seed)
    usual = [(START_MS + chance.randrange((QUIET_MIN + 10) * 60_000), event) for event in talk("today", 900, 50_000_000)]
    start_ms = START_MS + QUIET_MIN * 60_000
    posts = [*usual, *((start_ms + chance.randrange(LASTS_MS), event) for event in planted)]
    records = [Record(i, at_ms, _json(event, at_ms)) for i, (at_ms, event) in enumerate(sorted(posts, key=lambda one: one[0]))]
    pipeline = Pipeline(PipelineParams(), ())
    moments = [*pipeline.feed(records).moments, *pipeline.finish().moments]
    return [moment for moment in moments if term in moment.terms]


def _json(event: Event, at_ms: int) -> bytes:
    body = {"platform": "x", "id": event.id, "author": event.author, "created_ms": at_ms, "lang": "en", "text": event.text}
    if event.kind == "repost":
        body["repost_of"] = event.target_id
    if event.followers is not None:
        body["followers"] = event.followers
    if event.author_created_ms is not None:
        body["author_created_ms"] = event.author_created_ms
    return orjson.dumps(body)
