from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from agents.clickhouse import ClickHouse
from schemas.errors import ConfigurationError, SinkUnavailable
from schemas.mentions import DELETED_VERSION, Mention
from schemas.migrations import Migration, load_migrations
from schemas.rows import Columns, mention_columns
from tests.clickhouse_server import ClickHouseThread

PASSWORD = "s3cret/word"


def post(version: int, text: str = "acme is down", platform: str = "x") -> Columns:
    return mention_columns([Mention(post_id="p1", platform=platform, version=version, text=text, brands=("acme",), event_ms=1_000)])


def delete(platform: str = "x") -> Columns:
    return mention_columns([Mention(post_id="p1", platform=platform, version=DELETED_VERSION, deleted=True)])


def live_texts(clickhouse: ClickHouse) -> list[str]:
    return clickhouse.query("SELECT text FROM mentions_live")["text"].to_list()


def test_migrations_are_applied_once_in_order_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    clickhouse = ClickHouse.connect(f"chdb://{tmp_path}/new?database=other")
    names = [migration.name for migration in load_migrations()]
    assert [migration.name for migration in clickhouse.pending()] == names
    assert clickhouse.apply_migrations() == names
    assert clickhouse.apply_migrations() == []
    assert clickhouse.pending() == []
    clickhouse.close()


def test_a_migration_that_broke_off_is_run_again_and_keeps_what_is_stored(clickhouse: ClickHouse) -> None:
    clickhouse.insert(post(1))
    clickhouse.command("TRUNCATE TABLE schema_migrations")
    assert len(clickhouse.apply_migrations()) == len(load_migrations())
    assert live_texts(clickhouse) == ["acme is down"]


def test_what_was_written_is_there_after_close_and_open(clickhouse: ClickHouse) -> None:
    clickhouse.insert(post(1))
    clickhouse.close()
    assert live_texts(clickhouse) == ["acme is down"]


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("order", ["post delete", "delete post", "post delete post", "delete post delete post"])
def test_a_delete_wins_in_any_order_and_over_every_replay(clickhouse: ClickHouse, order: str, optimize: bool) -> None:
    for step in order.split():
        clickhouse.insert(post(1) if step == "post" else delete())
        if optimize:
            clickhouse.command("OPTIMIZE TABLE mentions FINAL")
    assert live_texts(clickhouse) == []


@pytest.mark.parametrize("optimize", [False, True])
def test_posts_of_two_platforms_with_one_id_are_two_and_a_delete_goes_to_its_own(clickhouse: ClickHouse, optimize: bool) -> None:
    for columns in (post(1, "on x"), post(2, "on mastodon", "mastodon"), delete("x"), post(1, "on x")):
        clickhouse.insert(columns)
        if optimize:
            clickhouse.command("OPTIMIZE TABLE mentions FINAL")
    assert live_texts(clickhouse) == ["on mastodon"]
    clickhouse.insert(delete("mastodon"))
    assert live_texts(clickhouse) == []


def test_mentions_of_before_keep_their_platform_and_their_deletes_hold_on_every_one(clickhouse: ClickHouse) -> None:
    old, new = migration("0002"), migration("0005")
    clickhouse.command("DROP TABLE mentions")
    for statement in old.statements:
        clickhouse.command(statement)
    clickhouse.command(
        "INSERT INTO mentions (post_id, platform, version, deleted, text, inserted_at) VALUES "
        f"('1', 'x', 5, 0, 'one', now() - INTERVAL 80 DAY), ('2', 'mastodon', 5, 0, 'two', now()), "
        f"('3', '', {DELETED_VERSION}, 1, '', now()), ('4', 'lemmy', 5, 0, 'four', now())"
    )
    for broken_off_after in range(1, len(new.statements) + 1):
        for statement in new.statements[:broken_off_after]:
            clickhouse.command(statement)
    live = clickhouse.query("SELECT toString(platform) AS platform, post_id, text FROM mentions_live ORDER BY post_id")
    assert live.rows() == [("x", "1", "one"), ("mastodon", "2", "two"), ("lemmy", "4", "four")]
    for platform in ("x", "mastodon", "lemmy"):
        clickhouse.insert(mention_columns([Mention(post_id="3", platform=platform, version=5, text="gone")]))
        clickhouse.insert(mention_columns([Mention(post_id="2", platform=platform, version=4, text="other")]))
    assert sorted(live_texts(clickhouse)) == ["four", "one", "other", "other", "two"]
    assert clickhouse.query("SELECT dateDiff('day', inserted_at, now()) AS age FROM mentions WHERE post_id = '1'")["age"][0] == 80
    assert (
        clickhouse.query("EXISTS TABLE mentions_by_post_id").item()
        == clickhouse.query("EXISTS TABLE mentions_by_platform").item()
        == 0
    )


def migration(number: str) -> Migration:
    return next(one for one in load_migrations() if one.name.startswith(number))


def test_a_merge_erases_a_deleted_post_s_text_and_keeps_the_tombstone_for_later_replays(clickhouse: ClickHouse) -> None:
    clickhouse.insert(post(1, text="my home address"))
    clickhouse.insert(delete())
    clickhouse.command("OPTIMIZE TABLE mentions FINAL")
    stored = clickhouse.query("SELECT deleted, text, brands FROM mentions")
    assert stored.rows() == [(1, "", [])]
    clickhouse.insert(post(1, text="my home address"))
    assert live_texts(clickhouse) == []
    clickhouse.command("OPTIMIZE TABLE mentions FINAL")
    assert clickhouse.query("SELECT text FROM mentions")["text"].to_list() == [""]


def test_an_edit_with_a_higher_version_replaces_the_post_whatever_came_last(clickhouse: ClickHouse) -> None:
    clickhouse.insert(post(2, text="edited"))
    clickhouse.insert(post(1, text="original"))
    assert live_texts(clickhouse) == ["edited"]


def test_retention_counts_from_insertion_so_a_replayed_archive_stays_and_tombstones_stay_for_ever(clickhouse: ClickHouse) -> None:
    for age_days in (0, 91):
        clickhouse.command(
            "INSERT INTO windows (term, window_start, part, version, inserted_at) "
            f"VALUES ('brand:age{age_days}', '2013-04-15 18:49:00.000', '0', 1, now() - INTERVAL {age_days} DAY)"
        )
    clickhouse.command(
        "INSERT INTO mentions (post_id, version, deleted, inserted_at) VALUES "
        "('old', 1, 0, now() - INTERVAL 91 DAY), ('gone', 2, 1, now() - INTERVAL 900 DAY), ('new', 1, 0, now())"
    )
    for table in ("windows", "mentions"):
        clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
    assert clickhouse.query("SELECT term FROM windows")["term"].to_list() == ["brand:age0"]
    assert sorted(clickhouse.query("SELECT post_id FROM mentions")["post_id"].to_list()) == ["gone", "new"]


def test_a_batch_over_hundreds_of_months_is_written_and_not_refused_for_ever(clickhouse: ClickHouse) -> None:
    starts = pl.Series("window_start", [month * 2_678_400_000 for month in range(300)]).cast(pl.Datetime("ms", "UTC"))
    clickhouse.insert(
        Columns("windows", pl.DataFrame([starts]).with_columns(term=pl.lit("brand:acme"), part=pl.lit("0"), events=pl.lit(1)))
    )
    assert clickhouse.query("SELECT count() AS n FROM windows_10s")["n"].item() == 300


KILLED_WRITER = """
import sys
from agents.clickhouse import ClickHouse
from schemas.mentions import Mention
from schemas.rows import mention_columns

clickhouse = ClickHouse.connect(sys.argv[1])
clickhouse.apply_migrations()
for batch in range(1_000_000):
    clickhouse.insert(mention_columns([Mention(post_id=f"{batch}/{n}", platform="x", version=1) for n in range(100)]))
    print(batch, flush=True)
"""


def test_batches_acknowledged_before_a_kill_are_there_whole_and_until_then_the_path_is_taken(tmp_path: Path) -> None:
    clickhouse = ClickHouse.connect(f"chdb://{tmp_path}/shared")
    command = [sys.executable, "-c", KILLED_WRITER, f"chdb://{tmp_path}/shared"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:  # ours
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(10)]
        with pytest.raises(SinkUnavailable, match="another process"):
            clickhouse.query("SELECT 1")
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout]
    sql = "SELECT toInt64(splitByChar('/', post_id)[1]) AS batch, count() AS n FROM mentions_live GROUP BY batch ORDER BY batch"
    batches = clickhouse.query(sql)
    assert batches["batch"].to_list()[: len(acknowledged)] == acknowledged
    assert set(batches["n"]) == {100}
    clickhouse.close()


def test_parameters_are_bound_and_never_pasted(clickhouse: ClickHouse) -> None:
    hostile = "x' OR 1=1 --"
    assert clickhouse.query("SELECT {word:String} AS word", {"word": hostile})["word"].item() == hostile


def test_no_rows_are_a_frame_with_columns_and_inserting_none_is_nothing(clickhouse: ClickHouse) -> None:
    clickhouse.insert(mention_columns([]))
    result = clickhouse.query("SELECT post_id, event_time FROM mentions_live")
    assert (result.height, result.columns) == (0, ["post_id", "event_time"])


def test_an_unknown_column_is_a_bug_and_comes_out_as_it_is(clickhouse: ClickHouse) -> None:
    with pytest.raises(DatabaseError, match="no_such_column"):
        clickhouse.insert(Columns("windows", pl.DataFrame({"no_such_column": [1]})))


def test_a_missing_table_says_what_to_run(clickhouse: ClickHouse) -> None:
    clickhouse.command("DROP TABLE mentions")
    with pytest.raises(ConfigurationError, match="drumbeat schema apply"):
        clickhouse.insert(post(1))


async def test_threads_may_share_one_connection(clickhouse: ClickHouse) -> None:
    rows = [mention_columns([Mention(post_id=f"p{number}", platform="x", version=1)]) for number in range(20)]
    await asyncio.gather(*(asyncio.to_thread(clickhouse.insert, columns) for columns in rows))
    result = await asyncio.to_thread(clickhouse.query, "SELECT count() AS n FROM mentions_live")
    assert result["n"].item() == 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseThread]:
    with ClickHouseThread(tmp_path / "server", user="drum", password=PASSWORD) as server:
        yield server


@pytest.fixture
def remote(server: ClickHouseThread) -> Iterator[ClickHouse]:
    remote = ClickHouse.connect(server.dsn("beat"))
    yield remote
    remote.close()


def test_over_http_the_same_columns_give_the_same_rows(remote: ClickHouse, server: ClickHouseThread) -> None:
    remote.apply_migrations()
    remote.insert(post(1))
    remote.insert(post(1))
    assert live_texts(remote) == ["acme is down"]
    assert remote.query("SELECT {n:Int64} AS n", {"n": 5})["n"].item() == 5
    assert remote.ping()
    inserts = [seen for seen in server.seen if "async_insert" in seen]
    assert len(inserts) == len(load_migrations()) + 2
    assert all((seen["async_insert"], seen["wait_end_of_query"], seen["database"]) == ("0", "1", "beat") for seen in inserts)


@pytest.mark.parametrize(
    "fault", [{"code": code} for code in (252, 241, 242, 243, 159, 516)] + [{"status": status} for status in (503, 502, 504, 429)]
)
def test_what_a_retry_may_cure_is_sink_unavailable_and_the_next_try_works(
    remote: ClickHouse, server: ClickHouseThread, fault: dict[str, int]
) -> None:
    remote.apply_migrations()
    server.fail("error" if "code" in fault else "status", only="all", text=f"not now, {PASSWORD}", **fault)
    with pytest.raises(SinkUnavailable) as caught:
        remote.insert(post(1))
    assert caught.value.retriable
    assert "not now, ***" in str(caught.value)
    with pytest.raises(SinkUnavailable):
        remote.query("SELECT 1")
    server.heal()
    remote.insert(post(1))
    assert live_texts(remote) == ["acme is down"]


def test_a_server_that_is_not_there_is_sink_unavailable_and_no_log_or_message_holds_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clickhouse = ClickHouse.connect(f"clickhouse://drum:s3cret%2Fword@127.0.0.1:{port}/beat")
    with caplog.at_level(logging.DEBUG), pytest.raises(SinkUnavailable, match=f"drum@127.0.0.1:{port}/beat") as caught:
        clickhouse.insert(post(1))
    assert not clickhouse.ping()
    for text in (str(caught.value), repr(clickhouse), caplog.text):
        assert PASSWORD not in text
        assert "s3cret" not in text
