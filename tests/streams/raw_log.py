"""A raw log as platforms send it: posts with copies, deletes, strange clocks, and what is none."""

from __future__ import annotations

import random

import orjson

from streams.records import Record

START_MS = 1_700_000_000_000
WORDS = ("acme", "fire", "#fire", "@acme", "storm", "https://example.org/a", "\u00fcber", "\u706b\u4e8b\u3067\u3059")


def make_log(rng: random.Random) -> list[Record]:
    """40 to 150 records within a few seconds of START_MS."""
    records, at_ms = list[Record](), START_MS + rng.randrange(3_000)
    for offset in range(rng.randrange(40, 150)):
        at_ms += rng.randrange(60)
        post: dict[str, object] = {
            "id": str(rng.randrange(100)),
            "platform": rng.choice(["x", "bluesky"]),
            "author": str(rng.randrange(20)),
        }
        post |= {"text": " ".join(rng.choices(WORDS, k=rng.randrange(1, 6))), "created_ms": at_ms - rng.randrange(20_000)}
        kind = rng.randrange(20)
        if kind == 0:
            post |= {"kind": "delete", "target_id": str(rng.randrange(100))}
        payload = b"{" if kind == 1 else orjson.dumps(post)
        records.append(Record(offset, at_ms + (10**12 if kind == 2 else 0), payload))
    return records
