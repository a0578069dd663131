"""Raw partitions that share a pass are told of exactly as each would be alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from schemas.events import decode_event
from schemas.watchlist import Brand
from streams import ingest as ingestion
from streams.brands import compile_watchlist
from streams.ingest import Arrived, Asked, IngestState, ingest, ingest_all, provisional, provisional_all, resume
from streams.records import Columns, Record
from streams.segment_table import IngestParams
from streams.segments import SegmentParams
from tests.streams.raw_log import START_MS, make_log

ACME = compile_watchlist([Brand(id="acme")])


def rounds(rng: random.Random, logs: list[list[Record]]) -> Iterator[dict[int, list[Record]]]:
    """What arrives together, source by source."""
    read = [0] * len(logs)
    while any(at < len(log) for at, log in zip(read, logs, strict=True)):
        found = {}
        for source, log in enumerate(logs):
            some = log[read[source] : read[source] + rng.randrange(60)]
            read[source] += len(some)
            if some:
                found[source] = some
        yield found


@pytest.mark.parametrize("pass_records", [1, 40, 32_768])
@pytest.mark.parametrize("seed", range(6))
def test_a_pass_over_several_partitions_says_of_each_what_one_alone_says(
    seed: int, pass_records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "PASS_RECORDS", pass_records)
    rng = random.Random(seed)
    segments = SegmentParams(segment_records=50)
    params = IngestParams(sources=4, partitions=3, author_key=b"a key for the tests", segments=segments)
    together, alone = ([resume(number, "raw", number, 0, (), params) for number in range(params.sources)] for _ in range(2))
    finals = 0
    for arrived in rounds(rng, [make_log(rng) for _ in range(params.sources)]):
        columns = {source: Columns.of(records) for source, records in arrived.items()}
        found = ingest_all([Arrived(together[source], some, decode_event) for source, some in columns.items()], ACME, params)
        expected = [ingest(alone[source], records, decode_event, ACME, params) for source, records in arrived.items()]
        assert found == expected
        finals += sum(one.commit_offset is not None for one in found)
        idle = [rng.randrange(3_000) for _ in together]
        told = provisional_all([Asked(*one) for one in zip(together, idle, strict=True)], START_MS, ACME, params)
        assert told == [provisional(state, START_MS, ms, ACME, params) for state, ms in zip(alone, idle, strict=True)]
    assert finals > 4
    assert [_memory(state) for state in together] == [_memory(state) for state in alone]


def _memory(state: IngestState) -> object:
    return state.records, state.told, state.cutter, sorted(_ids(state))


def _ids(state: IngestState) -> Iterator[tuple[int, int]]:
    for run in state.seen.runs:
        yield from zip(run.ids.tolist(), run.steps.tolist(), strict=True)
