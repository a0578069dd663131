"""The same job as Quix Streams' documentation teaches it: stateful filter, expand, group_by, tumbling window, to_topic.

    BENCH_NAME=... BENCH_KAFKA=... BENCH_EVENTS=... python -m tests.benchmarks.quix_streams

runs in an environment of its own (peers.txt). Windows come out when they are closed, once each, which is the cheapest way;
everything else is as it is by default. Says when it sees the first event and when it has seen as many as there are.
"""

from __future__ import annotations

import os
import time
from typing import Any

from quixstreams import Application, State

from tests.benchmarks.plain_terms import WINDOW_MS, terms_of
from tests.benchmarks.say import peak, say

NAME = os.environ["BENCH_NAME"]
EVENTS = int(os.environ["BENCH_EVENTS"])
GRACE_MS = 60_000  # the latest author's clock, and partitions that are read one before the other

app = Application(
    broker_address=os.environ["BENCH_KAFKA"],
    consumer_group=NAME,
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_STATE"],
    loglevel="WARNING",
)
seen = 0


def created_ms(value: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
    """Event time, and the stop-watch."""
    global seen  # noqa: PLW0603  # the extractor is the one function that meets every event
    seen += 1
    if seen in (1, EVENTS):
        say({"seen": seen, "at_s": time.monotonic(), "cpu_s": time.process_time(), **peak()})
    return int(value["created_ms"])


def is_new(value: dict[str, Any], state: State) -> bool:
    """Whether this id comes for the first time; state is kept by the record's key, which is the id."""
    if state.get("seen") is not None:
        return False
    state.set("seen", True)
    return True


def split(value: dict[str, Any]) -> list[dict[str, str]]:
    """One row a term."""
    return [{"term": term} for term in terms_of(value["text"])]


raw = app.topic(f"{NAME}-raw", value_deserializer="json", timestamp_extractor=created_ms)
counts = app.topic(f"{NAME}-counts", value_serializer="json")

sdf = app.dataframe(raw)
sdf = sdf.filter(is_new, stateful=True)
sdf = sdf.apply(split, expand=True)
sdf = sdf.group_by("term")
sdf = sdf.tumbling_window(WINDOW_MS, grace_ms=GRACE_MS).count().final(closing_strategy="partition")
sdf.to_topic(counts)

if __name__ == "__main__":
    app.run()
