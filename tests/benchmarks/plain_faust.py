"""The same job as Faust's manual teaches it: an agent per step, a table of what was seen, a topic keyed by term, a windowed table.

    python -m tests.benchmarks.plain_faust worker --without-web

says every half second how many posts and (post, term) pairs it has counted. `terms` is sent keyed, which is what `group_by` would
do on one more topic. The windowed table's changelog is the result.
"""

from __future__ import annotations

import os
import time
from typing import Any

import faust

from tests.benchmarks.plain_terms import WINDOW_MS, terms_of
from tests.benchmarks.say import peak, say

NAME = os.environ["BENCH_NAME"]
PARTITIONS = 4

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
)
progress: dict[str, Any] = {"posts": 0, "pairs": 0}


class Post(faust.Record, serializer="json"):
    """What is needed of an event; Faust ignores the other fields."""

    id: str
    text: str
    created_ms: int


class Term(faust.Record, serializer="json"):
    """One term of one post."""

    term: str
    at_s: float


raw = app.topic(f"{NAME}-raw", value_type=Post)
terms = app.topic(f"{NAME}-terms", key_type=str, value_type=Term)
seen = app.Table(f"{NAME}-seen", default=bool, partitions=PARTITIONS)
counts = app.Table(f"{NAME}-counts", default=int, partitions=PARTITIONS).tumbling(WINDOW_MS / 1_000, expires=3_600.0)
counts = counts.relative_to_field(Term.at_s)  # type: ignore[arg-type]  # a class's field is its descriptor


@app.agent(raw)
async def split(posts: Any) -> None:
    """Decodes, deduplicates, and sends each term on."""
    async for post in posts:
        progress["posts"] += 1
        if not seen[post.id]:
            seen[post.id] = True
            for term in terms_of(post.text):
                await terms.send(key=term, value=Term(term, post.created_ms / 1_000))


@app.agent(terms)
async def count(stream: Any) -> None:
    """Counts each term in its window."""
    async for term in stream:
        counts[term.term] += 1
        progress["pairs"] += 1


@app.timer(interval=0.5)  # type: ignore[untyped-decorator]  # Faust leaves it untyped
async def tell() -> None:
    """For the stop-watch."""
    say({**progress, "cpu_s": time.process_time(), **peak()})


if __name__ == "__main__":
    app.main()
