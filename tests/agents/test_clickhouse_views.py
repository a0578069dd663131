"""The views against a recount in Python of the same rows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import NamedTuple

import polars as pl
import pytest

from agents.clickhouse import ClickHouse
from schemas import frames
from schemas.moments import Moment, encode_moment
from schemas.rows import Columns, moment_columns, window_tables
from schemas.windows import FACET_WINDOW_ROWS, TOTAL_ROWS, WINDOW_ROWS, WindowBatch
from tests.schemas.test_rows import moment

START_MS = 1_366_051_680_000  # 2013-04-15 18:48:00 UTC
TERMS = ("all:posts", "brand:acme", "brand:zenith", "hashtag:fire", "keyword:smoke")
WIDTHS_MS = {"10s": 10_000, "1m": 60_000, "1h": 3_600_000, "1d": 86_400_000}


class Key(NamedTuple):
    term: str
    start_ms: int
    part: str


class Row(NamedTuple):
    version: int
    counts: dict[str, int]
    authors: list[int]


def random_rows(seed: int) -> dict[Key, list[Row]]:
    """Versions of windows over three hours, some with corrections beside them, some corrections without their window."""
    rng = random.Random(seed)
    rows: dict[Key, list[Row]] = {}
    for term in TERMS:
        everyone = [rng.getrandbits(64) for _ in range(400)]
        for start_ms in rng.sample(range(START_MS, START_MS + 3 * 3_600_000, 10_000), 60):
            for part in rng.choice((("0",), ("0", "0/1:70"), ("0", "0/1:70", "0/2:9"), ("0/3:5",))):
                versions = sorted(rng.sample(range(1_000), rng.randint(1, 3)))
                rows[Key(term, start_ms, part)] = [_row(rng, version, everyone) for version in versions]
    return rows


def _row(rng: random.Random, version: int, everyone: list[int]) -> Row:
    authors = sorted(rng.sample(everyone, rng.choice((0, 3, 40, 200))))[: frames.SKETCH_SIZE]
    return Row(version, {name: rng.randint(-3, 50) for name in frames.COUNTS}, authors)


def batches(rows: dict[Key, list[Row]], seed: int) -> list[WindowBatch]:
    """The rows in random order and in several batches, older versions after newer ones too."""
    records = [
        {
            "window_start_ms": key.start_ms,
            "term": key.term,
            "part": key.part,
            "version": r.version,
            **r.counts,
            "authors": r.authors,
        }
        for key, versions in rows.items()
        for r in versions
    ]
    random.Random(seed).shuffle(records)
    pieces = [records[i::4] for i in range(4)]
    return [WindowBatch(partition=0, rows=frames.to_bytes(pl.DataFrame(piece, schema=WINDOW_ROWS))) for piece in pieces]


def store(clickhouse: ClickHouse, many: list[WindowBatch]) -> None:
    for batch in many:
        for columns in window_tables(batch).values():
            clickhouse.insert(columns)


def shown(rows: dict[Key, list[Row]]) -> dict[Key, Row]:
    """The newest version of every row, without fragments of windows that were never stored."""
    whole = {
        (key.term, key.start_ms)
        for key, versions in rows.items()
        if key.term.startswith(("all:", "brand:")) or ("/" not in key.part and versions[-1].counts["events"])
    }
    return {key: versions[-1] for key, versions in rows.items() if (key.term, key.start_ms) in whole}


def recount(rows: dict[Key, list[Row]], width_ms: int) -> dict[tuple[str, int], tuple[dict[str, int], int]]:
    """Per term and window of `width_ms`: the counts and the distinct authors, as the definition says; a window of 0 is none."""
    events: Counter[tuple[str, int]] = Counter()
    for key, row in shown(rows).items():
        events[key.term, key.start_ms] += row.counts["events"]
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    authors: dict[tuple[str, int], set[int]] = defaultdict(set)
    for key, row in shown(rows).items():
        if not events[key.term, key.start_ms]:
            continue
        window = (key.term, key.start_ms - key.start_ms % width_ms)
        for name, value in row.counts.items():
            counts[window][name] += value
        authors[window] |= set(row.authors)
    return {window: (dict(counts[window]), distinct(authors[window])) for window in counts}


def distinct(hashes: set[int]) -> int:
    smallest = sorted(hashes)[: frames.SKETCH_SIZE]
    return len(smallest) if len(smallest) < frames.SKETCH_SIZE else round((frames.SKETCH_SIZE - 1) * 2**64 / smallest[-1])


def stored(clickhouse: ClickHouse, view: str) -> dict[tuple[str, int], tuple[dict[str, int], int]]:
    frame = clickhouse.query(f"SELECT * FROM {view}").with_columns(pl.col("window_start").dt.epoch("ms"))
    return {
        (row["term"], row["window_start"]): ({name: row[name] for name in frames.COUNTS}, row["distinct_authors"])
        for row in frame.iter_rows(named=True)
    }


def brand_minutes(rows: dict[Key, list[Row]]) -> dict[tuple[str, int], dict[str, int]]:
    return {key: counts for key, (counts, _) in recount(rows, 60_000).items() if key[0].startswith("brand:")}


@pytest.mark.parametrize("width", WIDTHS_MS)
def test_windows_of_every_width_equal_a_recount_in_any_order_of_insertion(clickhouse: ClickHouse, width: str) -> None:
    rows = random_rows(1)
    store(clickhouse, batches(rows, 2))
    assert stored(clickhouse, f"windows_{width}") == recount(rows, WIDTHS_MS[width])


def test_inserting_everything_again_changes_no_sum_before_and_after_a_merge(clickhouse: ClickHouse) -> None:
    rows = random_rows(3)
    for seed in (4, 5, 6):
        store(clickhouse, batches(rows, seed))
    assert stored(clickhouse, "windows_1m") == recount(rows, 60_000)
    clickhouse.command("OPTIMIZE TABLE windows FINAL")
    assert stored(clickhouse, "windows_1m") == recount(rows, 60_000)
    assert clickhouse.query("SELECT count() AS n FROM windows")["n"].item() == len(rows)


def test_a_correction_without_its_window_is_a_fragment_for_a_hashtag_and_the_whole_for_a_brand(clickhouse: ClickHouse) -> None:
    counts = dict.fromkeys(frames.COUNTS, 2)
    rows = {Key(term, START_MS, "0/1:70"): [Row(1, counts, [7])] for term in ("hashtag:fire", "brand:acme", "all:posts")}
    store(clickhouse, batches(rows, 0))
    assert {term for term, _ in stored(clickhouse, "windows_10s")} == {"brand:acme", "all:posts"}
    rows[Key("hashtag:fire", START_MS, "0")] = [Row(1, counts, [8])]
    store(clickhouse, batches(rows, 0))
    assert stored(clickhouse, "windows_10s")["hashtag:fire", START_MS] == (dict.fromkeys(frames.COUNTS, 4), 2)


def test_a_row_of_zero_is_as_no_row(clickhouse: ClickHouse) -> None:
    def versions(term: str, seconds: int, part: str, *events: int) -> tuple[Key, list[Row]]:
        counts = [{**dict.fromkeys(frames.COUNTS, 0), "events": n} for n in events]
        return Key(term, START_MS + seconds * 1_000, part), [Row(at, one, []) for at, one in enumerate(counts)]

    ahead_s = 8 * 3_600
    rows = dict(
        [
            versions("all:posts", 0, "0", 12, 17),
            versions("all:posts", ahead_s, "0", 1, 0),
            versions("brand:acme", 0, "0", 12, 17),
            versions("brand:acme", ahead_s, "0", 1, 0),
            versions("brand:zenith", 0, "0", 5),  # taken off after its window was forgotten
            versions("brand:zenith", 0, "0/1:70", -5),
            versions("hashtag:new", 0, "0", 40),
            versions("hashtag:gone", 0, "0", 40, 0),
            versions("hashtag:rare", 0, "0", 5, 0),  # a fragment: what was left out when its window closed is not known
            versions("hashtag:rare", 0, "0/1:70", 2),
        ]
    )
    store(clickhouse, batches(rows, 0))
    facet = {"term": "brand:acme", "facet": "lang:en", "part": "0"}
    facets = [{**facet, "window_start_ms": START_MS, "version": version, "events": n} for version, n in ((1, 3), (2, 0))]
    store(clickhouse, [WindowBatch(partition=0, facets=frames.to_bytes(pl.DataFrame(facets, schema=FACET_WINDOW_ROWS)))])

    def there(sql: str) -> list[tuple[object, ...]]:
        return sorted(clickhouse.query(sql).rows())

    expected = [("all:posts", 17), ("brand:acme", 17), ("hashtag:new", 40)]
    for view in ("windows_10s", "windows_1m", "windows_1h", "windows_1d"):
        assert there(f"SELECT term, events FROM {view}") == expected
    span = f"from_ms = {START_MS - 1}, to_ms = {START_MS + 9 * 3_600_000}, kind = ''"
    assert there(f"SELECT term, events FROM top_terms({span})") == expected
    assert there("SELECT brand, events, share FROM share_of_voice") == [("acme", 17, 1.0)]
    assert there("SELECT brand, events, share FROM share_of_voice_1h") == [("acme", 17, 1.0)]
    assert there("SELECT term, recent_events FROM emerging_terms") == [("brand:acme", 17), ("hashtag:new", 40)]
    assert there("SELECT facet, events FROM facets_1m") == []


def test_share_of_voice_is_a_brand_s_part_of_all_brand_events(clickhouse: ClickHouse) -> None:
    rows = random_rows(7)
    store(clickhouse, batches(rows, 8))
    minutes = brand_minutes(rows)
    totals: Counter[int] = Counter()
    for (_, start_ms), counts in minutes.items():
        totals[start_ms] += counts["events"]
    frame = clickhouse.query("SELECT *, toUnixTimestamp64Milli(window_start) AS start_ms FROM share_of_voice")
    found = {(f"brand:{row['brand']}", row["start_ms"]): row["share"] for row in frame.iter_rows(named=True)}
    assert found == pytest.approx({key: c["events"] / totals[key[1]] if totals[key[1]] else 0 for key, c in minutes.items()})
    hours = clickhouse.query("SELECT window_start, sum(share) AS whole FROM share_of_voice_1h GROUP BY window_start")
    assert hours["whole"].to_list() == pytest.approx([1.0] * hours.height)


def test_sentiment_is_the_mean_over_the_posts_that_have_one(clickhouse: ClickHouse) -> None:
    rows = random_rows(9)
    store(clickhouse, batches(rows, 10))
    frame = clickhouse.query("SELECT *, toUnixTimestamp64Milli(window_start) AS start_ms FROM sentiment")
    found = {(f"brand:{row['brand']}", row["start_ms"]): (row["events"], row["sentiment"]) for row in frame.iter_rows(named=True)}
    expected = {
        key: (counts["sentiment_events"], pytest.approx(counts["sentiment_milli"] / counts["sentiment_events"] / 1000))
        for key, counts in brand_minutes(rows).items()
        if counts["sentiment_events"] > 0
    }
    assert found == expected


def test_top_terms_counts_from_start_included_to_end_not_and_only_the_kind(clickhouse: ClickHouse) -> None:
    rows = random_rows(11)
    store(clickhouse, batches(rows, 12))
    starts = sorted({key.start_ms for key in shown(rows)})
    from_ms, to_ms = starts[len(starts) // 4], starts[len(starts) // 2]
    expected: Counter[str] = Counter()
    for key, row in shown(rows).items():
        if from_ms <= key.start_ms < to_ms:
            expected[key.term] += row.counts["events"]
    for kind in ("", "brand", "hashtag"):
        frame = clickhouse.query(f"SELECT * FROM top_terms(from_ms = {from_ms}, to_ms = {to_ms}, kind = '{kind}')")
        assert dict(frame.select("term", "events").iter_rows()) == {t: n for t, n in expected.items() if t.startswith(kind)}
        assert frame["events"].to_list() == sorted(frame["events"].to_list(), reverse=True)


def test_emerging_terms_compares_the_newest_ten_minutes_with_the_hour_before(clickhouse: ClickHouse) -> None:
    def at(term: str, minutes_ago: int, events: int) -> tuple[Key, list[Row]]:
        counts = {**dict.fromkeys(frames.COUNTS, 0), "events": events}
        return Key(term, START_MS - minutes_ago * 60_000, "0"), [Row(1, counts, [])]

    rows = dict(
        [
            at("all:posts", 0, 1_000),
            at("hashtag:new", 0, 40),
            at("hashtag:new", 9, 10),
            at("hashtag:steady", 5, 100),
            *(at("hashtag:steady", 10 + 10 * i, 100) for i in range(6)),
            at("hashtag:over", 30, 500),
            at("hashtag:long_ago", 80, 900),
        ]
    )
    store(clickhouse, batches(rows, 0))
    found = clickhouse.query("SELECT term, recent_events, before_events FROM emerging_terms").rows()
    assert found == [("hashtag:new", 50, 0)]


def test_facets_and_left_out_counts_add_their_parts(clickhouse: ClickHouse) -> None:
    facet = {"term": "brand:acme", "facet": "lang:en"}
    facets = [
        {**facet, "window_start_ms": START_MS, "part": "0", "version": 1, "events": 5},
        {**facet, "window_start_ms": START_MS, "part": "0", "version": 2, "events": 6},
        {**facet, "window_start_ms": START_MS, "part": "0/1:7", "version": 1, "events": 1},
        {**facet, "window_start_ms": START_MS + 10_000, "part": "0", "version": 1, "events": 10},
    ]
    totals = [
        {"window_start_ms": START_MS, "part": part, "version": version, "left_out_terms": 3, "left_out_events": 4}
        for part, version in (("0", 1), ("0", 2), ("1", 1))
    ]
    batch = WindowBatch(
        partition=0,
        facets=frames.to_bytes(pl.DataFrame(facets, schema=FACET_WINDOW_ROWS)),
        totals=frames.to_bytes(pl.DataFrame(totals, schema=TOTAL_ROWS)),
    )
    store(clickhouse, [batch, batch])
    assert clickhouse.query("SELECT facet, events FROM facets_1m").rows() == [("lang:en", 17)]
    assert clickhouse.query("SELECT left_out_terms, left_out_events FROM left_out_1m").rows() == [(6, 8)]


def test_moments_latest_is_the_newest_sequence_and_an_alert_sent_twice_is_one_row(clickhouse: ClickHouse) -> None:
    def row(sequence: int) -> tuple[Moment, bytes]:
        return moment(sequence), encode_moment(moment(sequence))

    columns = moment_columns([row(0), row(2), row(1)])
    for _ in range(2):
        clickhouse.insert(columns)
    latest = clickhouse.query("SELECT sequence, event FROM moments_latest")
    assert latest.rows() == [(2, encode_moment(moment(2)).decode())]
    assert clickhouse.query("SELECT count() AS n FROM moments FINAL")["n"].item() == 3


def test_a_minute_s_condition_reaches_the_index_below_the_view(clickhouse: ClickHouse) -> None:
    starts = pl.int_range(0, 200_000, eager=True) * 10_000 + START_MS
    frame = pl.DataFrame({"window_start": starts.cast(pl.Datetime("ms", "UTC"))})
    clickhouse.insert(Columns("windows", frame.with_columns(term=pl.lit("brand:acme"), part=pl.lit("0"))))
    clickhouse.command("OPTIMIZE TABLE windows FINAL")
    plan = clickhouse.query(
        "EXPLAIN ESTIMATE SELECT * FROM windows_1m WHERE term = 'brand:acme' AND window_start >= {day:DateTime64(3)} "
        "AND window_start < {day:DateTime64(3)} + INTERVAL 1 HOUR",
        {"day": "2013-04-25 12:00:00.000"},
    )
    assert plan["rows"].sum() < 3 * 8_192 < 200_000
