"""`python -m streams.warm`: compiles what is compiled, so that no operator stands still for it later."""

from __future__ import annotations

import numpy as np

from schemas.watchlist import Brand
from streams.baseline import BaselineParams
from streams.pipeline import Pipeline, PipelineParams
from streams.records import Record
from streams.term_table import TermTable

_START_MS = 1_700_000_000_000
_POST = b'{"id":"%d","text":"Oreo @a @b #c https://d.ef/g and some more words","author":"%d","created_ms":%d,"platform":"x"}'
_POSTS = 100
_TERMS = 2


def warm_up() -> None:
    """Every compiled function was called with the types it meets later: half a minute where none is kept on disk, else a second."""
    pipeline = Pipeline(PipelineParams(), [Brand(id="oreo", aliases=("oreo",))])
    times = range(_START_MS, _START_MS + _POSTS * 100, 100)
    pipeline.feed([Record(number, time, _POST % (number, number, time)) for number, time in enumerate(times)])
    pipeline.finish()
    full = TermTable(_TERMS, _TERMS, BaselineParams())  # terms give way only when there are very many
    for hashes in np.arange(1, 2 * _TERMS + 1, dtype=np.uint64).reshape(2, -1):
        full.advance(_START_MS, True)
        full.find(hashes)


if __name__ == "__main__":
    warm_up()
