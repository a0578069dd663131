"""A frozen state is the state of its packet, however long the state itself goes on."""

from __future__ import annotations

import random

import polars as pl
import pytest

from schemas import frames
from schemas.events import decode_event
from schemas.packets import Packet
from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.cells import CELLS
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import ingest, provisional, resume
from streams.segment_table import IngestParams
from streams.window_state import WindowState
from streams.window_tables import FrozenWindows, restore_tables
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


def test_parts_of_an_open_window_come_back_in_order_and_those_of_a_checkpoint_with_one_section_a_window_too() -> None:
    row = {"window_start_ms": START_MS, **dict.fromkeys(frames.COUNTS, 1), "authors": [7]}
    parts = [pl.DataFrame([{**row, "term": f"keyword:t{number}"}], schema=CELLS) for number in range(12)]
    state = WindowState(open_terms={START_MS: parts}, open_facets={START_MS: [frames.empty(frames.FACET_ROWS)]})
    sections = FrozenWindows.of(state).sections()
    restored = restore_tables(dict(sorted(sections.items())), {})  # as texts 10 comes before 2
    assert len(restored.open_terms[START_MS]) == len(parts)
    assert pl.concat(restored.open_terms[START_MS]).equals(pl.concat(parts))
    before = {name: data for name, data in sections.items() if not name.startswith("open/")}
    before[f"open/{START_MS}"] = frames.to_bytes(pl.concat(parts))
    assert pl.concat(restore_tables(before, {}).open_terms[START_MS]).equals(pl.concat(parts))
