"""A frozen state is the state of its packet, however long the state itself goes on."""

from __future__ import annotations

import random

import pytest

from schemas.events import decode_event
from schemas.packets import Packet
from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import ingest, provisional, resume
from streams.segment_table import IngestParams
from streams.windows import WindowParams
from tests.streams.raw_log import START_MS, make_log

ACME = compile_watchlist([Brand(id="acme")])
SOURCES = 2


def make_packets(rng: random.Random) -> list[Packet]:
    """Final ones, provisional ones and such of idle sources."""
    params = IngestParams(sources=SOURCES, partitions=1, author_key=b"a key for the tests")
    states = [resume(number, "raw", number, 0, (), params) for number in range(SOURCES)]
    logs = [make_log(rng) for _ in range(SOURCES)]
    packets = list[Packet]()
    for start in range(0, 150, 10):
        for state, log in zip(states, logs, strict=True):
            packets += ingest(state, log[start : start + 10], decode_event, ACME, params).packets
            packets += provisional(state, START_MS + 3_600_000, rng.choice([0, 2_500]), ACME, params).packets
    return packets


@pytest.mark.parametrize("seed", range(8))
def test_what_comes_later_is_not_in_it(seed: int) -> None:
    params = DetectParams(windows=WindowParams(lateness_ms=1_000, retain_ms=20_000, min_support=2))
    state, frozen, whole = DetectState.fresh(params), [], []
    for offset, packet in enumerate(make_packets(random.Random(seed))):
        detect(state, packet, offset, params)
        frozen.append(state.freeze())
        whole.append(state.snapshot())
    assert [one.sections() for one in frozen] == whole
    assert any(name.startswith("retained/") for name in whole[-1]), "windows have closed"
    again = DetectState.restore(frozen[len(frozen) // 2].sections(), params)
    assert again.snapshot() == whole[len(frozen) // 2]
