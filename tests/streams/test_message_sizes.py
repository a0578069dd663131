"""The largest record that hostile posts can bring about fits through the topics: one that does not would stop a worker for ever."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson
import polars as pl
import pytest

from schemas import frames
from schemas.events import decode_event
from schemas.packets import encode_packet
from schemas.topics import MAX_MESSAGE_BYTES, Topics
from schemas.windows import WINDOW_ROWS, encode_windows
from streams.brands import compile_watchlist
from streams.detect import BATCH_ROWS, DetectParams, _batches
from streams.ingest import ingest, resume
from streams.records import Record
from streams.segment_table import IngestParams
from streams.windows import Emitted

BATCH_RECORDS = 4_000  # that ingest reads at a time
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


@pytest.mark.parametrize("letters", [5, 60])
def test_a_packet_of_posts_that_share_no_word_fits(letters: int) -> None:
    params = IngestParams(sources=1, partitions=1, author_key=b"a key for the tests")
    state = resume(0, "raw", 0, 0, (), params)
    words = _words(letters)
    largest = 0
    for start in range(0, 3 * BATCH_RECORDS, BATCH_RECORDS):
        records = [Record(offset, 1_700_000_000_000, _post(offset, words)) for offset in range(start, start + BATCH_RECORDS)]
        done = ingest(state, records, decode_event, compile_watchlist([]), params)
        largest = max([largest, *(len(encode_packet(packet)) for packet in done.packets)])
    assert 4_000_000 < largest < MAX_MESSAGE_BYTES
    partials = next(spec for spec in Topics().specs() if spec.name == Topics().partials)
    assert partials.max_message_bytes == MAX_MESSAGE_BYTES


def _words(letters: int) -> Iterator[str]:
    """No word twice, in no order that packs well."""
    n = 1
    while True:
        n = n * 6_364_136_223_846_793_005 % (2**61 - 1)
        yield f"{n:015x}{n:015x}{n:015x}{n:015x}".translate(_LETTERS)[:letters]


def _post(offset: int, words: Iterator[str]) -> bytes:
    text = " ".join(next(words) for _ in range(64))
    return orjson.dumps({"id": f"i{offset}", "author": f"a{offset}", "text": text, "platform": "x", "lang": "xx"})


def test_windows_of_hours_that_close_at_once_are_split_and_complete() -> None:
    count = 3 * BATCH_ROWS + 1
    rng = random.Random(1)
    rows = pl.DataFrame(
        {name: range(count) if kind == pl.Int64 else ["x"] * count for name, kind in WINDOW_ROWS.items() if name != "authors"}
        | {"authors": [sorted(rng.getrandbits(64) for _ in range(64)) for _ in range(count)]},
        schema=WINDOW_ROWS,
    )
    nothing = pl.DataFrame()
    batches = _batches(Emitted(rows, nothing, nothing, 0, 0), DetectParams())
    assert max(len(encode_windows(batch)) for batch in batches) < 8 * 1024 * 1024
    assert pl.concat([frames.from_bytes(batch.rows) for batch in batches]).equals(rows)
