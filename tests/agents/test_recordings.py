"""Every line of a recording comes out once, unchanged and in time order, whatever is in it."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents import recordings
from agents.recordings import LOOK_AHEAD, Line, Recording, in_time_order
from schemas.errors import ConfigurationError
from schemas.events import decode_event

NOW_MS = 1_700_000_000_000


def post(post_id: str, created_ms: int | None, **more: object) -> bytes:
    return json.dumps(
        {"id": post_id, "text": "hello", **({} if created_ms is None else {"created_ms": created_ms}), **more}
    ).encode()


def written(path: Path, lines: list[bytes]) -> Recording:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return Recording(str(path), decode_event, NOW_MS)


def lines_of(recording: Recording) -> list[Line]:
    return list(recording.read())


def test_lines_come_out_unchanged_with_the_id_as_key_and_their_own_time(tmp_path: Path) -> None:
    raw = [b' {"id": "a",  "created_ms": 1000}', post("b", 2000)]
    recording = written(tmp_path / "f", raw)
    assert lines_of(recording) == [Line(1000, 1000, b"a", raw[0]), Line(2000, 2000, b"b", raw[1])]
    assert recording.lines == 2


def test_an_edit_and_a_delete_share_the_key_of_their_post(tmp_path: Path) -> None:
    raw = [post("a", 1), post("a", 2, kind="edit"), post("x", 3, kind="delete", target_id="a")]
    assert {line.key for line in lines_of(written(tmp_path / "f", raw))} == {b"a"}


@pytest.mark.parametrize("name", ["f.ndjson.gz", "named-like-plain-text"])
def test_gzip_is_told_by_its_bytes_not_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(post("a", 1) + b"\r\n" + post("b", 2)))
    recording = Recording(str(tmp_path / name), decode_event, NOW_MS)
    assert [line.payload for line in lines_of(recording)] == [post("a", 1), post("b", 2)]
    assert recording.bytes_read == recording.bytes_total


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_stdin_is_read_like_a_file(wrap: type[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(wrap(post("a", 1) + b"\n"))))
    assert [line.key for line in lines_of(Recording("-", decode_event, NOW_MS))] == [b"a"]


def test_broken_lines_come_out_at_the_time_of_the_line_before(tmp_path: Path) -> None:
    recording = written(tmp_path / "f", [post("a", 1000), b"{nonsense", b"\xff\xfe", post("b", 2000)])
    times = [line.time_ms for line in lines_of(recording)]
    assert times == [1000, 1000, 1000, 2000]
    assert recording.broken == 2


def test_equal_broken_lines_share_a_key_and_others_do_not(tmp_path: Path) -> None:
    keys = [line.key for line in lines_of(written(tmp_path / "f", [b"{x", b"{y", b"{x"]))]
    assert keys[0] == keys[2] != keys[1]


def test_undated_lines_at_the_start_get_the_first_time_that_is_known(tmp_path: Path) -> None:
    recording = written(tmp_path / "f", [b"{nonsense", post("a", None), post("b", 5000)])
    assert [line.time_ms for line in lines_of(recording)] == [5000, 5000, 5000]


def test_a_recording_without_any_time_is_of_now(tmp_path: Path) -> None:
    assert [line.time_ms for line in lines_of(written(tmp_path / "f", [post("a", None)] * 20))] == [NOW_MS] * 20


def test_no_post_is_sent_ahead_of_the_present(tmp_path: Path) -> None:
    recording = written(tmp_path / "f", [post("a", 1000), post("b", NOW_MS + 1), post("c", 3000)])
    assert [line.time_ms for line in lines_of(recording)] == [1000, 1000, 3000]


def test_blank_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    recording = written(tmp_path / "f", [b"", post("a", 1), b"  ", b"\r"])
    assert len(lines_of(recording)) == 1
    assert (recording.lines, recording.blank) == (4, 3)


def test_a_line_that_no_broker_takes_is_left_out_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_LINE_BYTES", 100)
    recording = written(tmp_path / "f", [post("a", 1), b"x" * 350, post("b", 2), b"y" * 100])
    assert [line.key for line in lines_of(recording)] == [b"a", b"b"]
    assert recording.too_long == 2


def test_files_are_merged_by_time_and_the_first_named_goes_first(tmp_path: Path) -> None:
    one = written(tmp_path / "1", [post("a", 1), post("b", 3), post("c", 3)])
    two = written(tmp_path / "2", [post("d", 2), post("e", 3)])
    assert [line.key for _, line in in_time_order([one, two])] == [b"a", b"d", b"b", b"c", b"e"]


def test_one_absurd_date_holds_up_neither_its_file_nor_the_others(tmp_path: Path) -> None:
    one = written(tmp_path / "1", [post("a", 1), post("year-2020", NOW_MS - 1), *(post(f"b{i}", 10 + i) for i in range(30))])
    two = written(tmp_path / "2", [post(f"c{i}", 20 + i) for i in range(30)])
    merged = list(in_time_order([one, two]))
    assert [line.order_ms for _, line in merged] == sorted(line.order_ms for _, line in merged)
    assert [line.key for _, line in merged][:3] == [b"a", b"year-2020", b"b0"]
    assert merged[1][1].time_ms == NOW_MS - 1  # its record keeps its own time


def test_a_file_that_really_jumps_ahead_waits_for_the_others(tmp_path: Path) -> None:
    one = written(tmp_path / "1", [post("a", 1), *(post(f"b{i}", 5000 + i) for i in range(LOOK_AHEAD))])
    two = written(tmp_path / "2", [post("c", 2), post("d", 3)])
    assert [line.key for _, line in in_time_order([one, two])][:4] == [b"a", b"c", b"d", b"b0"]


def test_an_unsorted_file_is_counted_with_how_far_it_goes_back(tmp_path: Path) -> None:
    recording = written(tmp_path / "f", [post("a", 9000), post("b", 2000), post("c", 8000), post("d", 7000)])
    assert [line.key for line in lines_of(recording)] == [b"a", b"b", b"c", b"d"]
    assert (recording.backwards, recording.most_backwards_ms) == (2, 7000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (gzip.compress(post("a", 1) * 200)[:60], "cannot read"),
        (b"\x1f\x8b no gzip after all", "cannot read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(content: bytes | None, expected: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    with pytest.raises(ConfigurationError, match=expected):
        lines_of(Recording(str(tmp_path / "f"), decode_event, NOW_MS))
