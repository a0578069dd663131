from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from schemas import frames
from schemas.dead_letters import DeadLetter
from schemas.mentions import DELETED_VERSION, Mention
from schemas.migrations import load_migrations, split_statements
from schemas.moments import Moment, Word, encode_moment
from schemas.rows import dead_letter_columns, joined, mention_columns, moment_columns, window_tables
from schemas.windows import TOTAL_ROWS, WINDOW_ROWS, WindowBatch

BOSTON_MS = 1_366_051_740_000
BOSTON = datetime(2013, 4, 15, 18, 49, tzinfo=UTC)


def window(term: str, version: int = 1) -> pl.DataFrame:
    counts = dict.fromkeys(frames.COUNTS, 1)
    row = {"window_start_ms": BOSTON_MS, "term": term, "part": "0", "version": version, **counts, "authors": [1, 2**64 - 1]}
    return pl.DataFrame([row], schema=WINDOW_ROWS)


def moment(sequence: int = 0) -> Moment:
    return Moment(
        moment_id="m1",
        sequence=sequence,
        status="opened",
        organic=True,
        lead_term="brand:acme",
        terms=("brand:acme", "hashtag:fire"),
        brands=("acme",),
        severity=7,
        score=12.5,
        reasons=("surge",),
        opened_ms=BOSTON_MS + 60_000,
        since_ms=BOSTON_MS,
        updated_ms=BOSTON_MS + 60_000,
        lead_time_ms=60_000,
        scale_ms=60_000,
        observed=90,
        expected=2.5,
        peak=90,
        events=120,
        authors=80,
        unknown_authors=3,
        organic_share=0.9,
        sentiment=-0.5,
        sentiment_shift=None,
        originals=100,
        replies=15,
        reposts=5,
        reach=1000,
        platforms={"x": 5},
        languages={"en": 5},
        communities={},
        words=(Word(text="fire", posts=4, score=3.0),),
        samples=(),
        why="Acme is on fire.",
    )


def test_window_rows_keep_every_value_and_get_the_table_s_time_and_version_types() -> None:
    columns = window_tables(WindowBatch(partition=0, rows=frames.to_bytes(window("brand:acme"))))["windows"]
    assert columns.rows == 1
    assert columns.frame.schema["version"] == pl.UInt64
    row = columns.frame.row(0, named=True)
    assert row.pop("window_start") == BOSTON
    assert row == {key: value for key, value in window("brand:acme").row(0, named=True).items() if key != "window_start_ms"}


def test_tables_without_rows_are_left_out() -> None:
    batch = WindowBatch(partition=0, rows=frames.to_bytes(window("a:b")), totals=frames.to_bytes(frames.empty(TOTAL_ROWS)))
    assert set(window_tables(batch)) == {"windows"}


def test_a_version_below_zero_is_refused_because_it_would_wrap_to_the_highest() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError):
        window_tables(WindowBatch(partition=0, rows=frames.to_bytes(window("a:b", version=-1))))


def test_a_deleted_mention_keeps_nothing_but_platform_id_and_version_even_if_the_record_says_more() -> None:
    gone = Mention(
        post_id="p", platform="x", version=DELETED_VERSION, deleted=True, text="secret", url="https://x/p", brands=("acme",)
    )
    row = mention_columns([gone]).frame.row(0, named=True)
    assert (row["platform"], row["post_id"], row["version"], row["deleted"]) == ("x", "p", DELETED_VERSION, 1)
    assert "secret" not in str(row)
    assert "https" not in str(row)
    assert row["brands"] == []


def test_unknown_author_followers_and_sentiment_are_null_and_not_zero() -> None:
    row = mention_columns([Mention(post_id="p", platform="x", version=1)]).frame.row(0, named=True)
    assert (row["author_hash"], row["followers"], row["sentiment_milli"]) == (None, None, None)


def test_a_moment_row_holds_the_cloud_event_byte_for_byte_beside_its_fields() -> None:
    body = encode_moment(moment())
    row = moment_columns([(moment(), body)]).frame.row(0, named=True)
    assert row["event"].encode() == body
    assert row["since"] == BOSTON
    assert row["closed"] is None
    assert row["terms"] == ["brand:acme", "hashtag:fire"]
    assert row["words"] == ["fire"]


def test_a_dead_letter_row_holds_a_readable_head_and_the_true_size() -> None:
    letter = DeadLetter("not_utf8", "byte 0", "social.raw", 3, 7, BOSTON_MS, b"\xff\x00" + b"a" * 2_000, 2_002)
    row = dead_letter_columns([letter]).frame.row(0, named=True)
    assert row["payload_bytes"] == 2_002
    assert row["payload_head"] == "\ufffd\x00" + "a" * 998


def test_joined_gives_one_insert_per_table_with_all_rows_in_order() -> None:
    one, two = mention_columns([Mention(post_id="p", platform="x", version=1)]), mention_columns([])
    letters = dead_letter_columns([DeadLetter("empty", "", "social.raw", 0, 1, 0, b"", 0)])
    three = mention_columns([Mention(post_id="q", platform="x", version=1)])
    found = {columns.table: columns for columns in joined([one, two, letters, three])}
    assert set(found) == {"mentions", "dead_letters"}
    assert found["mentions"].frame["post_id"].to_list() == ["p", "q"]


def test_migrations_are_numbered_without_gap_and_every_statement_may_run_twice() -> None:
    migrations = load_migrations()
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    in_place = (
        migration for migration in migrations if migration.number != 5
    )  # it moves rows, and is broken off in test_clickhouse
    for statement in (statement for migration in in_place for statement in migration.statements):
        assert statement.startswith(("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE VIEW")), statement


def test_a_semicolon_in_a_comment_or_inside_a_line_ends_no_statement() -> None:
    assert split_statements("-- one;\nSELECT ';' AS a;\nSELECT 2;\n") == ("SELECT ';' AS a", "SELECT 2")
