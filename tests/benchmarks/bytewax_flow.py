"""The same job as Bytewax' documentation teaches it: Kafka in, stateful_flat_map, flat_map, count_window, Kafka out.

    BENCH_NAME=... BENCH_KAFKA=... python -m bytewax.run tests.benchmarks.bytewax_flow:flow

runs in an environment of its own (peers.txt), over what the topic holds: at its end all windows close. Says when it decodes the
first event.
"""

from __future__ import annotations

import atexit
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from confluent_kafka import OFFSET_BEGINNING

from tests.benchmarks.plain_terms import WINDOW_MS, terms_of
from tests.benchmarks.say import peak, say

NAME = os.environ["BENCH_NAME"]
BROKERS = [os.environ["BENCH_KAFKA"]]
WAIT = timedelta(seconds=60)  # the latest author's clock, and partitions that are read one before the other
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

begun = False


class Term(NamedTuple):
    """One term of one post."""

    term: str
    at: datetime


def decode(message: Any) -> tuple[str, dict[str, Any]]:
    """The event under its id, and the stop-watch."""
    global begun  # noqa: PLW0603  # the first step is the one function that meets the first event
    if not begun:
        begun = True
        atexit.register(lambda: say({"cpu_s": time.process_time(), **peak()}))  # it ends by itself, perhaps before anybody looks
        say({"at_s": time.monotonic(), "cpu_s": time.process_time(), **peak()})
    event = orjson.loads(message.value)
    return event["id"], event


def only_new(seen: bool | None, event: dict[str, Any]) -> tuple[bool, list[dict[str, Any]]]:
    """The event, if its id comes for the first time."""
    return True, [] if seen else [event]


def split(keyed: tuple[str, dict[str, Any]]) -> list[Term]:
    """One item a term."""
    event = keyed[1]
    at = EPOCH + timedelta(milliseconds=event["created_ms"])
    return [Term(term, at) for term in terms_of(event["text"])]


def encode(counted: tuple[str, tuple[int, int]]) -> KafkaSinkMessage[bytes, bytes]:
    """A window's count."""
    term, (window, count) = counted
    return KafkaSinkMessage(term.encode(), orjson.dumps({"start": window * WINDOW_MS, "value": count}))


clock = win.EventClock(lambda term: term.at, wait_for_system_duration=WAIT)
windower = win.TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=EPOCH)

flow = Dataflow("terms")
raw = kop.input("raw", flow, brokers=BROKERS, topics=[f"{NAME}-raw"], tail=False, starting_offset=OFFSET_BEGINNING)
events = op.map("decode", raw.oks, decode)
fresh = op.stateful_flat_map("deduplicate", events, only_new)
terms = op.flat_map("split", fresh, split)
counted = win.count_window("count", terms, clock, windower, key=lambda term: term.term)
kop.output("counts", op.map("encode", counted.down, encode), brokers=BROKERS, topic=f"{NAME}-counts")
