"""The ClickHouse for tests: what it takes and answers, its faults as the sink meets them, and its end by kill -9."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import http.client
import itertools
import json
import os
import re
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import cramjam
import polars as pl
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

import agents.clickhouse
from agents.clickhouse import ClickHouse
from agents.local import with_parent
from schemas.errors import SinkUnavailable
from schemas.migrations import load_migrations
from schemas.rows import Columns
from tests.clickhouse_faults import KINDS, FaultKind
from tests.clickhouse_server import ClickHouseServer, ClickHouseThread
from tests.clickhouse_statements import Refused, Statement, parse

PATIENCE_S = 60.0
_numbers = itertools.count()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.headers.get("X-ClickHouse-Exception-Code", "0"))


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseThread]:
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    with ClickHouseThread(tmp_path_factory.mktemp("clickhouse") / "data") as server:
        yield server


@pytest.fixture
def server(thread: ClickHouseThread) -> Iterator[ClickHouseThread]:
    yield thread
    thread.heal()


@pytest.fixture
def database(server: ClickHouseThread) -> str:
    """One of this test's own, with an empty table `t`."""
    name = f"d{next(_numbers)}"
    ok(ask(server, f"CREATE DATABASE {name}"))
    ok(ask(server, "CREATE TABLE t (k String, n Int64) ENGINE = MergeTree ORDER BY k PARTITION BY n", database=name))
    return name


@pytest.fixture(scope="module")
def dsn(thread: ClickHouseThread) -> str:
    """With the schema applied."""
    migrate(thread.dsn())
    return thread.dsn()


@pytest.fixture
def sink(server: ClickHouseThread, dsn: str) -> Iterator[ClickHouse]:
    """The worker's own client, with no windows yet."""
    sink = ClickHouse.connect(dsn)
    sink.command("TRUNCATE TABLE windows")
    yield sink
    sink.close()


def ask(
    server: ClickHouseThread,
    body: bytes | str = b"",
    *,
    path: str = "/",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    chunked: bool = False,
    **options: object,
) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        data = body.encode() if isinstance(body, str) else body
        url = f"{path}?{urlencode(options)}" if options else path
        pieces = iter([data[:7], data[7:]])
        connection.request(method, url, pieces if chunked else data, headers or {}, encode_chunked=chunked)
        response = connection.getresponse()
        return Reply(response.status, dict(response.headers), response.read())


def ok(reply: Reply) -> bytes:
    assert (reply.status, reply.code) == (200, 0), reply.body
    return reply.body


def migrate(dsn: str) -> None:
    sink = ClickHouse.connect(dsn)
    sink.apply_migrations()
    sink.close()


def rows(server: ClickHouseThread, database: str) -> bytes:
    return ok(ask(server, "SELECT k, n FROM t ORDER BY k, n", database=database))


def windows(*terms: str, version: int = 1) -> Columns:
    start = pl.Series("window_start", [1_000_000] * len(terms)).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame([start]).with_columns(
        term=pl.Series(list(terms), dtype=pl.String), part=pl.lit("0"), version=pl.lit(version, pl.UInt64), events=pl.lit(3)
    )
    return Columns("windows", frame)


def stored(sink: ClickHouse) -> list[tuple[str, int]]:
    return [(term, events) for term, events in sink.query("SELECT term, events FROM windows FINAL ORDER BY term").rows()]


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        (Statement("select", "SELECT ';', 1 "), b"SELECT ';', 1 ; -- done; really\n"),
        (Statement("select", "(SELECT 1) FORMAT JSON", form="JSON"), b"(SELECT 1) FORMAT JSON"),
        (Statement("other", "CREATE TABLE format (a Int8)"), b"CREATE TABLE format (a Int8)"),
        (Statement("insert", "INSERT INTO t ", "", "CSV", b"1;\n\n2"), b"INSERT INTO t FORMAT CSV\n1;\n\n2"),
        (Statement("insert", "insert into t (`FORMAT a`) ", "", "TSV", b"\n1"), b"insert into t (`FORMAT a`) format TSV \r\n\n1"),
        (Statement("insert", "/* FORMAT x */INSERT INTO t ", "", "TSV", b""), b"/* FORMAT x */INSERT INTO t FORMAT TSV"),
        (
            Statement("insert", "INSERT INTO t ", "SETTINGS a=1 ", "CSV", b"'\x00("),
            b"INSERT INTO t SETTINGS a=1 FORMAT CSV\n'\x00(",
        ),
        (Statement("insert", "INSERT INTO t VALUES (1), ('FORMAT x')"), b"INSERT INTO t VALUES (1), ('FORMAT x')"),
        (Statement("insert", "INSERT INTO t SELECT 1 FORMAT CSV"), b"INSERT INTO t SELECT 1 FORMAT CSV"),
    ],
)
def test_a_statement_ends_where_its_data_begins(expected: Statement, query: bytes) -> None:
    assert parse(query) == expected


@pytest.mark.parametrize("query", [b"", b" -- nothing\n", b"SELECT 1; SELECT 2"])
def test_no_statement_and_two_statements_are_syntax_errors(query: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse(query)
    assert caught.value.code == 62


def test_a_query_comes_in_the_url_or_the_body_or_both_by_get_or_post(server: ClickHouseThread) -> None:
    assert ok(ask(server, method="GET", query="SELECT 1")) == b"1\n"
    assert ok(ask(server, query="SELECT 1")) == b"1\n"
    assert ok(ask(server, "SELECT 1")) == b"1\n"
    assert ok(ask(server, "+ 1", query="SELECT 1")) == b"2\n"
    assert ok(ask(server, "SELECT 1", chunked=True)) == b"1\n"
    long = f"SELECT length('{'x' * 200_000}')"
    assert ok(ask(server, long)) == ok(ask(server, query=long)) == b"200000\n"


@pytest.mark.parametrize(
    "form", ["Native", "ArrowStream", "Arrow", "Parquet", "JSONEachRow", "TabSeparated", "CSV", "RowBinary", "Values"]
)
@pytest.mark.parametrize("where", ["url", "body"])
def test_rows_come_in_every_format(server: ClickHouseThread, database: str, form: str, where: str) -> None:
    expected = "SELECT * FROM values('k String, n Int64', ('a;b\\nc', 1), ('\\'it\\'s; (', -2))"
    data = ok(ask(server, f"{expected} FORMAT {form}"))
    insert = f"INSERT INTO t (k, n) SETTINGS max_insert_threads = 1 FORMAT {form}"
    if where == "url":
        reply = ask(server, data, query=insert, database=database)
    else:
        reply = ask(server, f"{insert}\n".encode() + data, database=database)
    ok(reply)
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert rows(server, database) == ok(ask(server, f"{expected} ORDER BY k"))


def test_values_may_be_written_in_the_statement_and_hold_parameters(server: ClickHouseThread, database: str) -> None:
    ok(ask(server, "('a', 1), ('b;', 2)", query="INSERT INTO t VALUES", database=database))
    ok(ask(server, "INSERT INTO t VALUES ({k:String}, 3)", database=database, param_k="it's"))
    ok(ask(server, "INSERT INTO t SELECT k, n + 10 FROM t WHERE n = 3", database=database))
    assert rows(server, database) == b"a\t1\nb;\t2\nit\\'s\t3\nit\\'s\t13\n"


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        ("gzip", gzip.compress),
        ("lz4", cramjam.lz4.compress),
        ("zstd", cramjam.zstd.compress),
        ("br", cramjam.brotli.compress),
        ("deflate", zlib.compress),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_may_be_compressed_in_both_directions(
    server: ClickHouseThread, database: str, encoding: str, compressed: Any, chunked: bool
) -> None:
    body = bytes(compressed(b"INSERT INTO t FORMAT CSV\na,1\nb,2\n"))
    ok(ask(server, body, headers={"Content-Encoding": encoding}, chunked=chunked, database=database))
    assert rows(server, database) == b"a\t1\nb\t2\n"
    bad = ask(server, body[: len(body) // 2], headers={"Content-Encoding": encoding}, database=database)
    assert bad.status == 500
    assert bad.code in (354, 391, 561, 618)
    query, accepted = "SELECT number FROM numbers(1000)", {"Accept-Encoding": f"{encoding};q=1.0, x"}
    plain = ask(server, query, headers=accepted)
    assert "Content-Encoding" not in plain.headers
    packed = ask(server, query, headers=accepted, enable_http_compression=1)
    assert packed.headers["Content-Encoding"] == encoding
    assert len(ok(packed)) < len(ok(plain))
    decoders = {"gzip": gzip.decompress, "deflate": zlib.decompress, "br": cramjam.brotli.decompress}
    decoded = decoders.get(encoding, getattr(cramjam, encoding, cramjam.gzip).decompress)(packed.body)
    assert bytes(decoded) == plain.body


def test_an_encoding_that_nobody_knows_is_not_implemented(server: ClickHouseThread) -> None:
    reply = ask(server, "SELECT 1", headers={"Content-Encoding": "rot13"})
    assert (reply.status, reply.code) == (501, 48)
    assert ask(server, "SELECT 1", compress=1).code == 48


def test_settings_in_the_url_hold_for_that_statement_only(server: ClickHouseThread, database: str) -> None:
    insert = "INSERT INTO t SELECT 'a', number FROM numbers(150)"
    reply = ask(server, insert, database=database)
    assert (reply.status, reply.code) == (500, 252)  # a partition per row, and 100 are allowed
    ok(ask(server, insert, database=database, max_partitions_per_insert_block=0))
    assert ask(server, insert, database=database).code == 252
    assert ok(ask(server, "SELECT getSetting('max_threads')", max_threads=3)) == b"3\n"
    strict = "INSERT INTO t FORMAT TSV\n" + "".join(f"b\t{n}\n" for n in range(1_000, 1_150))
    assert ask(server, strict, database=database).code == 252
    ok(ask(server, strict, database=database, max_partitions_per_insert_block=0, async_insert=0, wait_end_of_query=1))
    ok(ask(server, "INSERT INTO t FORMAT TSV\nc\t1\n", database=database, async_insert=1, wait_for_async_insert=1))
    assert ok(ask(server, "SELECT count() FROM t", database=database)) == b"301\n"


@pytest.mark.parametrize(
    ("status", "code", "query", "options"),
    [
        (404, 115, "SELECT 1", {"no_such_setting": 1}),
        (404, 115, "SELECT 1 SETTINGS no_such_setting = 1", {}),
        (404, 60, "SELECT * FROM nope", {}),
        (404, 60, "INSERT INTO nope FORMAT CSV\n1", {}),
        (404, 81, "SELECT 1", {"database": "no`pe"}),
        (404, 81, "INSERT INTO nope.t FORMAT CSV\n1", {}),
        (404, 47, "SELECT nope", {}),
        (404, 46, "SELECT nope()", {}),
        (404, 73, "SELECT 1 FORMAT Nope", {}),
        (400, 62, "SELEC 1", {}),
        (400, 62, "", {"database": "default"}),
        (400, 62, "SELECT 1; DROP TABLE t", {}),
        (400, 456, "SELECT {a:Int64}", {}),
        (500, 395, "SELECT throwIf(1)", {}),
        (500, 241, "SELECT groupArray(number) FROM numbers(100000000)", {"max_memory_usage": 10_000_000}),
        (408, 159, "SELECT count() FROM numbers(100000000000)", {"max_execution_time": "0.1"}),
    ],
)
def test_errors_have_the_code_and_status_of_the_server(
    server: ClickHouseThread, status: int, code: int, query: str, options: dict[str, Any]
) -> None:
    reply = ask(server, query, **options)
    assert (code, reply.status) == (reply.code, {456: 500}.get(code, status))
    assert re.fullmatch(rb"Code: \d+\. DB::Exception: .+ \([A-Z_]+\) \(version [\d.]+\)\n", reply.body, re.DOTALL), reply.body


def test_an_answer_says_what_it_is_and_what_it_took(server: ClickHouseThread) -> None:
    reply = ask(server, "SELECT number FROM numbers(3) FORMAT JSONEachRow", query_id="mine")
    summary = json.loads(reply.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"], summary["written_rows"]) == ("3", "3", "0")
    assert reply.headers["X-ClickHouse-Query-Id"] == "mine"
    assert reply.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert reply.headers["X-ClickHouse-Timezone"] == ok(ask(server, "SELECT timezone()")).decode().strip()
    assert ask(server, "SELECT 1", default_format="JSON").headers["X-ClickHouse-Format"] == "JSON"
    assert ask(server, "SELECT 1", headers={"X-ClickHouse-Format": "CSV"}).headers["X-ClickHouse-Format"] == "CSV"
    assert ok(ask(server, "SELECT currentDatabase()", headers={"X-ClickHouse-Database": "system"})) == b"system\n"


def test_a_get_cannot_write(server: ClickHouseThread, database: str) -> None:
    assert ask(server, method="GET", query="INSERT INTO t VALUES ('a', 1)", database=database).code == 164
    assert ask(server, method="GET", query="DROP TABLE t", database=database).code == 164
    assert rows(server, database) == b""


def test_parameters_are_bound_and_never_pasted(server: ClickHouseThread) -> None:
    hostile = "x' OR 1=1 --"
    assert ok(ask(server, "SELECT {word:String} FORMAT RowBinary", param_word=hostile)) == b"\x0c" + hostile.encode()
    assert ok(ask(server, "SELECT {list:Array(Int8)}[2]", param_list="[1,2]")) == b"2\n"


def test_without_length_or_chunks_a_post_is_refused_and_a_strange_path_is_not_found(server: ClickHouseThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/?query=SELECT+1")
        connection.endheaders()
        assert connection.getresponse().status == 411
    assert ok(ask(server, "SELECT 1", headers={"content-length": "8"})) == b"1\n"
    assert ask(server, path="/nope", method="GET").status == 404
    assert ok(ask(server, method="GET")) == b"Ok.\n"


def test_who_expects_a_continue_gets_it_and_one_connection_serves_many_requests(server: ClickHouseThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.connect()
        first = connection.sock
        for number in range(20):
            connection.request("POST", "/", f"SELECT {number}", {"Expect": "100-continue"})
            assert connection.getresponse().read() == b"%d\n" % number
        assert connection.sock is first


def test_only_who_knows_the_password_comes_in_and_anybody_may_ping(thread: ClickHouseThread) -> None:
    interface = thread._interface
    users, interface.users = interface.users, {"drum": "s3cret/word"}
    try:
        good = base64.b64encode(b"drum:s3cret/word").decode()
        bad = base64.b64encode(b"drum:wrong").decode()
        assert ok(ask(thread, "SELECT 1", headers={"Authorization": f"Basic {good}"})) == b"1\n"
        assert ok(ask(thread, "SELECT 1", headers={"X-ClickHouse-User": "drum", "X-ClickHouse-Key": "s3cret/word"})) == b"1\n"
        assert ok(ask(thread, "SELECT 1", user="drum", password="s3cret/word")) == b"1\n"
        for headers in ({}, {"Authorization": f"Basic {bad}"}, {"Authorization": "Basic ?"}, {"X-ClickHouse-User": "drum"}):
            reply = ask(thread, "SELECT 1", headers=headers)
            assert (reply.status, reply.code) == (403, 516)
        assert ok(ask(thread, path="/ping", method="GET")) == b"Ok.\n"
    finally:
        interface.users = users


def test_clickhouse_connect_finds_a_server(server: ClickHouseThread, database: str) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, database=database)
    with contextlib.closing(client):
        assert client.insert("t", [["a;", 1], ["b'\n", 2]], column_names=["k", "n"]).written_rows == 2
        assert client.query("SELECT * FROM t ORDER BY k").result_rows == [("a;", 1), ("b'\n", 2)]
        assert client.query("SELECT k FROM t WHERE n = {n:Int64}", parameters={"n": 2}).result_rows == [("b'\n",)]
        assert client.query("SELECT * FROM t LIMIT 0").column_names == ("k", "n")
        assert client.command("SELECT count() FROM t") == 2
        client.command("INSERT INTO t VALUES ({k:String}, 3)", parameters={"k": "c"})
        with client.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
            assert sum(len(block) for block in blocks) == 200_000
        table = ExternalData(file_name="m.csv", data=b"a,1\nb,2\n", fmt="CSV", structure=["k String", "v Int64"])
        assert client.query("SELECT sum(v) FROM m", external_data=table).result_rows == [(3,)]
        for compression in ("lz4", "zstd", "gzip"):
            data = bytes(getattr(cramjam, compression).compress(b"d,4\n"))
            assert client.raw_insert("t", ["k", "n"], data, fmt="CSV", compression=compression).written_rows == 1
        with pytest.raises(DatabaseError, match="no_such_table") as caught:
            client.query("SELECT * FROM no_such_table")
        assert caught.value.code == 60


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_clickhouse_connect_may_compress_as_it_likes_and_put_everything_into_a_form(
    server: ClickHouseThread, database: str, compress: bool | str
) -> None:
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=server.port, database=database, compress=compress, form_encode_query_params=True
    )
    with contextlib.closing(client):
        client.insert("t", [[str(number), number % 7] for number in range(5_000)], column_names=["k", "n"])
        assert client.query("SELECT {k:String}, count() FROM t", parameters={"k": "it's\nme"}).result_rows == [("it's\nme", 5_000)]


def test_a_hundred_connections_insert_and_read_at_once(server: ClickHouseThread, database: str) -> None:
    def one(number: int) -> bytes:
        ok(ask(server, f"INSERT INTO t FORMAT CSV\n{number},{number % 3}\n", database=database))
        return ok(ask(server, f"SELECT n FROM t WHERE k = '{number}'", database=database))

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(one, range(300))) == [b"%d\n" % (number % 3) for number in range(300)]


def test_health_waits_for_no_statement_and_statements_not_for_a_slow_insert(server: ClickHouseThread, database: str) -> None:
    server.fail("slow", seconds=PATIENCE_S)
    with ThreadPoolExecutor(2) as pool:
        insert = pool.submit(ask, server, "INSERT INTO t VALUES ('a', 1)", database=database)
        query = pool.submit(ask, server, "SELECT sleepEachRow(1) FROM numbers(1)")
        while server.counts()["slow"] == 0:
            pass
        assert ok(ask(server, path="/ping", method="GET")) == b"Ok.\n"
        assert rows(server, database) == b""
        assert not insert.done()
        assert not query.done()
        server.heal()
        ok(insert.result())
        ok(query.result())
    assert rows(server, database) == b"a\t1\n"


def test_what_is_no_fault_is_refused_with_what_there_is(server: ClickHouseThread) -> None:
    for options in (
        {"kind": "flood"},
        {"kind": "slow", "only": "ddl"},
        {"kind": "slow", "for_requests": 0},
        {"kind": "slow", "x": 1},
    ):
        with pytest.raises(ValueError, match=r"there are|expected"):
            server.fail(**options)
    with pytest.raises(ValueError, match="fail, heal and counts"):
        ok_or_raise(server)


def ok_or_raise(server: ClickHouseThread) -> None:
    reply = ask(server, json.dumps({"do": "dance"}), path="/control")
    if reply.status != 200:
        raise ValueError(reply.body.decode())


TOLD: tuple[FaultKind, ...] = tuple(kind for kind in KINDS if kind not in ("hang", "slow"))


@pytest.mark.parametrize("kind", TOLD)
def test_an_insert_that_meets_a_fault_is_sent_again_and_stored_once(
    server: ClickHouseThread, sink: ClickHouse, kind: FaultKind
) -> None:
    before = server.counts()
    server.fail(kind, for_requests=4)
    unavailable = 0
    while unavailable < 5:
        try:
            sink.insert(windows("brand:a", "brand:b"))
            break
        except SinkUnavailable:
            unavailable += 1
    assert unavailable == (2 if kind.startswith("drop") else 4)  # of closed connections the client tries a second one by itself
    assert stored(sink) == [("brand:a", 3), ("brand:b", 3)]
    done = {name: count - before[name] for name, count in server.counts().items() if count != before[name]}
    assert done.pop("selects") >= 1
    times = 5 if kind in ("drop_after", "half") else 1
    refused = {"refused": 4} if kind in ("error", "too_many_parts", "disk_full", "read_only", "memory") else {}
    assert done == {kind: 4, "inserts": times, "rows": 2 * times} | refused


@pytest.mark.parametrize("kind", TOLD)
def test_a_query_that_meets_a_fault_is_unavailable_and_never_half_a_result(
    server: ClickHouseThread, sink: ClickHouse, kind: FaultKind
) -> None:
    sink.insert(windows(*(f"brand:{number}" for number in range(5_000))))
    server.fail(kind, only="select", for_requests=4)  # a client may ask again by itself
    with pytest.raises(SinkUnavailable):
        sink.query("SELECT * FROM windows FINAL")
    server.heal()
    assert sink.query("SELECT * FROM windows FINAL").height == 5_000


@pytest.mark.parametrize("kind", TOLD)
def test_a_worker_that_starts_into_a_fault_finds_its_sink_unavailable(
    server: ClickHouseThread, sink: ClickHouse, kind: FaultKind
) -> None:
    server.fail(kind, only="all")
    late = ClickHouse.connect(server.dsn(sink.database))
    for _ in range(2):
        with pytest.raises(SinkUnavailable):
            late.pending()
    server.heal()
    assert late.pending() == []
    late.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_whatever_a_proxy_says_is_worth_a_retry(server: ClickHouseThread, sink: ClickHouse, status: int) -> None:
    server.fail("status", status=status, for_requests=1)
    with pytest.raises(SinkUnavailable, match=str(status)):
        sink.insert(windows("brand:a"))
    sink.insert(windows("brand:a"))
    assert stored(sink) == [("brand:a", 3)]


def test_a_server_that_hangs_is_left_after_the_timeout_and_what_it_does_later_is_harmless(
    server: ClickHouseThread, sink: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.clickhouse, "ANSWER_TIMEOUT_S", 1)
    sink.close()
    assert stored(sink) == []
    before = server.counts()["inserts"]
    server.fail("hang", for_requests=1)
    with pytest.raises(SinkUnavailable, match="timed out"):
        sink.insert(windows("brand:a"))
    sink.insert(windows("brand:a"))
    sink.insert(windows("brand:a", version=2))
    server.heal()
    while server.counts()["inserts"] < before + 3:  # the one that hung is done after all, when the rows are long corrected
        pass
    assert sink.query("SELECT term, version FROM windows FINAL").rows() == [("brand:a", 2)]


def test_a_slow_server_is_waited_for(server: ClickHouseThread, sink: ClickHouse) -> None:
    server.fail("slow", seconds=0.2)
    sink.insert(windows("brand:a"))
    assert stored(sink) == [("brand:a", 3)]


# A client of its own process: inserts numbered windows until it is told to end, and says each number when it is acknowledged.
_WRITER = """
import sys, time
import polars as pl
from agents.clickhouse import ClickHouse
from schemas.errors import SinkUnavailable
from schemas.rows import Columns
sink, name = ClickHouse.connect(sys.argv[1]), sys.argv[2]
for batch in range(int(sys.argv[3])):
    start = pl.Series("window_start", [1_000_000] * 100).cast(pl.Datetime("ms", "UTC"))
    terms = pl.Series([f"brand:{name}/{batch}/{n}" for n in range(100)])
    rows = Columns("windows", pl.DataFrame([start]).with_columns(term=terms, part=pl.lit("0"), events=pl.lit(1)))
    while True:
        try:
            sink.insert(rows)
            break
        except SinkUnavailable:
            time.sleep(0.05)
    print(batch, flush=True)
"""


async def writer(dsn: str, name: str, batches: int) -> asyncio.subprocess.Process:
    command = with_parent([sys.executable, "-c", _WRITER, dsn, name, str(batches)])
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1])


async def said(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    return int(await process.stdout.readline())


def frame(dsn: str, sql: str) -> pl.DataFrame:
    sink = ClickHouse.connect(dsn)
    try:
        return sink.query(sql)
    finally:
        sink.close()


MOVES = sum(statement.startswith("INSERT") for one in load_migrations() for statement in one.statements)
PER_BATCH = (
    "SELECT splitByChar('/', term)[1] AS name, toInt64(splitByChar('/', term)[2]) AS batch, count() AS n "
    "FROM windows_10s GROUP BY name, batch ORDER BY name, batch"
)


@pytest.mark.integration
async def test_what_was_acknowledged_before_kill_9_is_there_after_a_start_and_clients_go_on(tmp_path: Path) -> None:
    async with ClickHouseServer(tmp_path / "data") as server:
        await asyncio.to_thread(migrate, server.dsn())
        port = server.port
        process = await writer(server.dsn(), "a", 60)
        for kills in range(3):
            acknowledged = [await said(process) for _ in range(15)][-1]
            await server.kill()
            await server.start()
            assert server.port == port
            batches = await asyncio.to_thread(frame, server.dsn(), PER_BATCH)
            assert batches["batch"].to_list()[: acknowledged + 1] == list(range(acknowledged + 1)), kills
            assert set(batches["n"][: acknowledged + 1]) == {100}
        assert await process.wait() == 0
        whole = await asyncio.to_thread(frame, server.dsn(), PER_BATCH)
        assert whole["batch"].to_list() == list(range(60))
        assert set(whole["n"]) == {100}
        assert (await server.counts())["rows"] >= 60 * 100 - 300  # at most the one of each kill was not counted any more


@pytest.mark.integration
async def test_two_processes_write_at_once_through_faults_and_every_row_is_there_once(tmp_path: Path) -> None:
    async with ClickHouseServer(tmp_path / "data", user="drum", password="s3cret/word") as server:
        await asyncio.to_thread(migrate, server.dsn())
        for kind in ("status", "drop_before", "drop_after", "too_many_parts", "disk_full", "half"):
            await server.fail(kind, for_requests=5)
        writers = [await writer(server.dsn(), name, 40) for name in "ab"]
        assert [await one.wait() for one in writers] == [0, 0]
        batches = await asyncio.to_thread(frame, server.dsn(), PER_BATCH)
        assert batches.rows() == [(f"brand:{name}", batch, 100) for name in "ab" for batch in range(40)]
        counts = await server.counts()
        assert {name: counts[name] for name in ("status", "drop_before", "half", "inserts")} == {
            "status": 5,
            "drop_before": 5,
            "half": 5,
            "inserts": len(load_migrations()) + MOVES + 80 + 10,  # migrations, batches, and those that were done but not answered
        }


@pytest.mark.integration
async def test_a_server_stops_while_it_hangs_and_ends_with_its_parent(tmp_path: Path) -> None:
    async with ClickHouseServer(tmp_path / "data") as server:
        await server.fail("hang", only="all")
        query = asyncio.create_task(asyncio.to_thread(_hung, server.port))
        while (await server.counts())["hang"] == 0:
            await asyncio.sleep(0)
        pid = server.pid
        assert pid is not None
        await server.stop()
        assert await query
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        await server.start()
        assert (await server.counts())["hang"] == 1


def _hung(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        try:
            connection.request("POST", "/", "SELECT 1")
            return connection.getresponse().status != 200
        except (OSError, http.client.HTTPException):
            return True


def test_two_threads_of_one_client_take_turns(server: ClickHouseThread, sink: ClickHouse) -> None:
    threads = [threading.Thread(target=sink.insert, args=(windows(f"brand:{number}"),)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(stored(sink)) == 8
