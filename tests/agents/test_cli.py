"""The command says what it did, fails in one line, and its exit code means something."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.__main__ import build_parser, main
from agents.cli import exits, replay, schema, topics
from agents.cli.moments import one_line
from agents.cli.output import MAX_CELL_CHARS, table
from agents.cli.worker import agents
from agents.local import free_port
from agents.settings import RawTopic, Settings
from schemas.errors import BadDeploy, BrokenLog, BrokerUnavailable, ConfigurationError, SinkUnavailable
from schemas.moments import decode_moment, encode_moment
from tests.agents.test_backtest import moment

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


def parsers() -> Iterator[argparse.ArgumentParser]:
    """Every command and action."""
    waiting = [build_parser()]
    while waiting:
        parser = waiting.pop()
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DRUMBEAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DRUMBEAT_LISTEN", "127.0.0.1:1")  # no worker of somebody else's answers there


@pytest.fixture
def asked(deployment: Settings) -> Callable[..., int]:
    """The command against the deployment's broker."""

    def ask(*words: str) -> int:
        options = ("--kafka", deployment.kafka, "--prefix", deployment.prefix, "--clickhouse", deployment.clickhouse)
        return main([*words, *options])

    return ask


def test_every_command_has_a_help_with_an_example_that_it_takes() -> None:
    commands = list(parsers())
    assert len(commands) == 1 + 12 + 10
    for parser in commands:
        assert parser.epilog is not None
        assert f"example:\n  {parser.prog}" in parser.epilog or parser.prog == "drumbeat"


def test_the_help_documents_every_exit_code(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"{code:>3}  {meaning}" in told for code, meaning in exits.MEANING.items())


def test_the_version_is_told(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("drumbeat ")


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("COMMAND", []),
        ("invalid choice: 'dance'", ["dance"]),
        ("FILE", ["replay"]),
        ("ACTION", ["topics"]),
        ("above 0, or max", ["replay", "f", "--speed", "-3"]),
        ("above 0, or max", ["replay", "f", "--speed", "nan"]),
        ("whole number above 0", ["topics", "apply", "--partitions", "0"]),
        ("some of ingest", ["worker", "--agents", "ingest,dance"]),
        ("some of ingest", ["worker", "--agents", ","]),
        ("--out", ["backtest", "f"]),
        ("no such file", ["replay", "/does/not/exist"]),
        ("named twice", ["replay", "-", "-"]),
        ("Is a directory", ["backtest", "/", "--out", "build/x"]),
        ("host:port", ["doctor", "--kafka", "nowhere"]),
        ("which brand", ["watchlist", "put"]),
        ("options describe one brand", ["watchlist", "put", "a", "b", "--alias", "c"]),
        ("give no ID", ["watchlist", "put", "a", "--file", "f"]),
        ("No such file", ["watchlist", "put", "--file", "/does/not/exist"]),
        ("nothing to watch for", ["watchlist", "put", "#"]),
        ("DRUMBEAT_RAW=", ["replay", "f", "--platform", "bluesky"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(expected: str, words: list[str], capsys: Capture, tmp_path: Path) -> None:
    assert main([word if word != "build/x" else str(tmp_path) for word in words]) == exits.USAGE
    told = capsys.readouterr()
    assert expected in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_wrong_environment_is_one_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("DRUMBEAT_LATENESS_MS", "soon")
    monkeypatch.setenv("DRUMBEAT_TYPO", "1")
    assert main(["topics", "show"]) == exits.USAGE
    assert "DRUMBEAT_LATENESS_MS" in (told := capsys.readouterr().err)
    assert "DRUMBEAT_TYPO" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["topics", "apply"],
        ["topics", "show"],
        ["watchlist", "list"],
        ["watchlist", "put", "a"],
        ["watchlist", "remove", "a"],
        ["moments", "tail"],
    ],
)
def test_a_broker_that_is_away_is_one_line_and_exit_code_3(words: list[str], capsys: Capture) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert main([*words, "--kafka", address]) == exits.WORLD
    told = capsys.readouterr().err
    assert f"broker {address}" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("words", [["schema", "show"], ["schema", "apply"], ["query", "SELECT 1"]])
def test_a_clickhouse_that_is_away_is_one_line_without_password_and_exit_code_3(words: list[str], capsys: Capture) -> None:
    assert main([*words, "--clickhouse", f"clickhouse://u:hunter2@127.0.0.1:{free_port()}/d"]) == exits.WORLD
    told = capsys.readouterr().err
    assert "hunter2" not in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (exits.USAGE, ConfigurationError("x")),
        (exits.USAGE, BadDeploy("x")),
        (exits.WORLD, BrokerUnavailable("x")),
        (exits.WORLD, SinkUnavailable("x")),
        (exits.WORLD, BrokenLog("x")),
        (exits.WORLD, ConnectionResetError("x")),
        (exits.BUG, RuntimeError("x")),
        (exits.INTERRUPTED, KeyboardInterrupt()),
        (exits.OK, BrokenPipeError()),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    code: int, error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_args: argparse.Namespace, _settings: Settings) -> int:
        raise error

    monkeypatch.setattr(topics, "run_show", fail)
    assert main(["topics", "show"]) == code
    assert "Traceback" not in capfd.readouterr().err


def test_debug_shows_where_it_failed(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(_args: argparse.Namespace, _settings: Settings) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(topics, "run_show", fail)
    assert main(["topics", "show", "--debug"]) == exits.BUG
    assert "Traceback" in (told := capsys.readouterr().err)
    assert told.endswith("drumbeat: internal error: RuntimeError: a bug (--debug shows where)\n")


def test_options_win_over_the_environment_before_and_after_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    def look(_args: argparse.Namespace, settings: Settings) -> int:
        seen.append(settings)
        return exits.OK

    monkeypatch.setattr(schema, "run_show", look)
    monkeypatch.setenv("DRUMBEAT_KAFKA", "env:1")
    monkeypatch.setenv("DRUMBEAT_PREFIX", "env")
    assert main(["--kafka", "before:1", "schema", "show"]) == main(["schema", "show", "--kafka", "after:1"]) == 0
    assert [(settings.kafka, settings.prefix) for settings in seen] == [("before:1", "env"), ("after:1", "env")]


def test_agents_are_named_in_a_list() -> None:
    assert agents("ingest, detect") == {"ingest", "detect"}


@pytest.mark.parametrize(
    ("expected", "topic", "platform"),
    [
        (RawTopic("b", "bluesky"), None, None),
        (RawTopic("r", "reddit"), None, "reddit"),
        (RawTopic("r", "reddit"), "r", None),
        (RawTopic("other", "x"), "other", "x"),
        (RawTopic("other", "canonical"), "other", None),
    ],
)
def test_a_replay_goes_to_the_topic_of_its_platform(expected: RawTopic, topic: str | None, platform: str | None) -> None:
    settings = Settings(raw=(RawTopic("b", "bluesky"), RawTopic("r", "reddit")))
    assert replay.raw_topic(settings, topic, platform) == expected


def test_a_platform_that_contradicts_the_topic_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DRUMBEAT_RAW"):
        replay.raw_topic(Settings(raw=(RawTopic("b", "bluesky"),)), "b", "x")


def test_a_table_aligns_numbers_to_the_right_and_cuts_long_cells() -> None:
    text = table(("name", "n"), [("a", 5), ("b" * 200, 10), ("c", None)])
    header, rule, first, second, third = text.splitlines()
    assert header.endswith("  " + " n")
    assert set(rule) == {"-", " "}
    assert first.endswith(" 5")
    assert second == "b" * (MAX_CELL_CHARS - 1) + "…" + "  10"
    assert third == "c"


def test_a_table_of_nothing_is_its_header() -> None:
    assert table(("a",), []).splitlines() == ["a", "-"]


def test_no_post_can_drive_the_terminal() -> None:
    line = one_line(moment(why="ring\x07 \x1b[2J clear\nnext", lead_term="brand:\x9b31m"))
    assert line.isprintable()
    assert table(("a",), [("\x1b[2J",)]).splitlines()[-1] == " [2J"


@pytest.mark.integration
def test_topics_are_shown_applied_and_shown_again(asked: Callable[..., int], capsys: Capture) -> None:
    assert asked("topics", "show") == exits.NOT_SO
    assert asked("topics", "apply", "--partitions", "3") == exits.OK
    assert asked("topics", "show") == exits.OK
    assert asked("topics", "apply", "--partitions", "4") == exits.NOT_SO
    assert "refused" in capsys.readouterr().out


@pytest.mark.integration
def test_a_watchlist_is_put_listed_and_removed(asked: Callable[..., int], capsys: Capture, tmp_path: Path) -> None:
    asked("topics", "apply")
    assert asked("watchlist", "put", "explosion", "#boston", "@acme", "two words") == exits.OK
    assert asked("watchlist", "put", "acme", "--name", "Acme", "--alias", "Acme Inc", "--handle", "@acme", "--muted") == exits.OK
    assert asked("watchlist", "put", "#boston") == exits.OK
    told = capsys.readouterr().out
    assert "replaced acme: Acme Inc, @acme; muted" in told
    assert "kept boston: #boston" in told
    assert asked("watchlist", "list", "--json") == exits.OK
    listed = capsys.readouterr().out
    assert [json.loads(line)["id"] for line in listed.splitlines()] == ["acme", "boston", "explosion", "two-words"]
    assert asked("watchlist", "remove", "acme", "two words", "nobody") == exits.NOT_SO
    (tmp_path / "list").write_text(listed, encoding="utf-8")
    assert asked("watchlist", "put", "--file", str(tmp_path / "list")) == exits.OK
    capsys.readouterr()
    asked("watchlist", "list", "--json")
    assert capsys.readouterr().out == listed


@pytest.mark.integration
def test_moments_are_printed_as_lines_and_as_they_are(asked: Callable[..., int], deployment: Settings, capsys: Capture) -> None:
    asked("topics", "apply")
    sent = [moment(why="one"), moment(sequence=1, status="closed", why="two", organic=False)]

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=deployment.kafka, linger_ms=100)
        await producer.start()
        await asyncio.gather(*[producer.send_and_wait(deployment.topics.moments, encode_moment(one), key=b"m1") for one in sent])
        await producer.send_and_wait(deployment.topics.moments, b"no moment", key=b"m2")
        await producer.stop()

    asyncio.run(send())
    capsys.readouterr()
    assert asked("moments", "tail", "--from-beginning", "--no-follow") == exits.OK
    told = capsys.readouterr()
    assert [line.split()[-1] for line in told.out.splitlines()] == ["one", "two"]
    assert "closed (inorganic)" in told.out
    assert told.err.count("no moment") == 1
    assert asked("moments", "tail", "--from-beginning", "--no-follow", "--json") == exits.OK
    assert [decode_moment(line.encode()) for line in capsys.readouterr().out.splitlines()] == sent
    assert asked("moments", "tail", "--no-follow") == exits.OK
    assert capsys.readouterr().out == ""


@pytest.mark.integration
def test_a_replay_says_what_it_sent(asked: Callable[..., int], tmp_path: Path, capsys: Capture) -> None:
    asked("topics", "apply", "--history")
    (tmp_path / "f").write_text('{"id":"a","created_ms":1000}\n\n{broken\n{"id":"b","created_ms":900}\n', encoding="utf-8")
    capsys.readouterr()
    assert asked("replay", str(tmp_path / "f"), "--speed", "max") == exits.OK
    told = capsys.readouterr()
    assert told.out.startswith("3 records sent to t")
    assert "4 lines, 1 do not decode" in told.err
    assert "warning: 1 earlier than the line before" in told.err


@pytest.mark.integration
def test_ctrl_c_ends_a_paced_replay_with_its_summary(asked: Callable[..., int], deployment: Settings, tmp_path: Path) -> None:
    asked("topics", "apply", "--history")
    (tmp_path / "f").write_text('{"id":"a","created_ms":0}\n{"id":"b","created_ms":86400000}\n', encoding="utf-8")
    command = [sys.executable, "-m", "agents", "replay", str(tmp_path / "f"), "--speed", "2", "--kafka", deployment.kafka]
    run = subprocess.Popen(
        [*command, "--prefix", deployment.prefix], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    assert run.stderr.readline().startswith("waiting 43,200 s for the next post")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == exits.INTERRUPTED
    assert "records sent" in out
    assert "Traceback" not in err


@pytest.mark.integration
def test_the_schema_is_applied_once_and_asked(asked: Callable[..., int], deployment: Settings, capsys: Capture) -> None:
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    assert asked("query", "SELECT 1") == exits.USAGE
    assert "nothing was stored yet" in capsys.readouterr().err
    assert asked("schema", "show") == exits.NOT_SO
    assert "pending" in capsys.readouterr().out
    assert not Path(deployment.clickhouse.removeprefix("chdb://")).exists()
    assert asked("schema", "apply") == exits.OK
    assert "applied" in capsys.readouterr().out
    assert asked("schema", "apply") == exits.OK
    assert "nothing to do" in capsys.readouterr().out
    assert asked("schema", "show") == exits.OK
    capsys.readouterr()
    assert asked("query", "SELECT number AS n, 'x' AS s FROM system.numbers LIMIT 2;") == exits.OK
    assert capsys.readouterr().out == "n  s\n-  -\n0  x\n1  x\n"
    sql = "SELECT 1 AS n, NULL AS nothing, toDateTime64(0, 3, 'UTC') AS t, [1, 2] AS l, toDecimal32(1.5, 1) AS d"
    assert asked("query", "--json", sql) == exits.OK
    row = json.loads(capsys.readouterr().out)
    assert (row["n"], row["nothing"], row["l"], row["d"]) == (1, None, [1, 2], "1.5")
    assert row["t"].startswith("1970-01-01T00:00:00")
    assert asked("query", "SELECT nonsense") == exits.USAGE
    assert capsys.readouterr().err.count("\n") == 1
