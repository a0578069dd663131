"""The same job by ClickHouse alone, embedded, on one thread, over a file of the same events: what C++ needs without a stream.

    python -m tests.benchmarks.clickhouse_alone EVENTS.ndjson RESULT.arrow

writes the counts and says how long the query took.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.plain_terms import TERM, WINDOW_MS
from tests.benchmarks.say import peak, say

_QUERY = f"""
SELECT window_start_ms, term, toInt64(count()) AS events
FROM (
    SELECT
        intDiv(created, {WINDOW_MS}) * {WINDOW_MS} AS window_start_ms,
        arrayJoin(arrayDistinct(extractAll(lower(words), '{TERM.pattern}'))) AS term
    FROM (
        SELECT id, any(created_ms) AS created, any(text) AS words
        FROM file('PATH', 'JSONEachRow', 'id String, created_ms Int64, text String')
        GROUP BY id
    )
)
GROUP BY window_start_ms, term
SETTINGS max_threads = 1, input_format_skip_unknown_fields = 1, output_format_arrow_string_as_string = 1
"""


def main(path: Path, result: Path) -> None:
    """Counts the events of a file."""
    engine: Any = import_module("chdb")  # without types
    engine.query("SELECT 1", "ArrowStream")  # its library is loaded
    begun, computed = time.perf_counter(), time.process_time()
    answer = engine.query(_QUERY.replace("PATH", str(path)), "ArrowStream")
    if answer.has_error():
        raise RuntimeError(answer.error_message())
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - computed
    result.write_bytes(answer.bytes())
    say({"seconds": seconds, "cpu_s": cpu_s, **peak()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
