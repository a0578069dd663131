"""Recorded posts, one JSON a line, come out in time order over several files, each line unchanged, in bounded memory.

Read from NDJSON, plain or gzip (told by its first bytes), and from stdin. A line that does not decode comes out too, because the
pipeline has to count it; it gets the time of the line before it.
"""

from __future__ import annotations

import gzip
import heapq
import io
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import xxhash

from schemas.errors import ConfigurationError, MalformedEvent
from schemas.events import Event, Skipped

STDIN = "-"
MAX_LINE_BYTES = 4 * 1024 * 1024  # four times what a record may have before it is a dead letter; above, no broker takes it
LOOK_AHEAD = 16  # lines that must confirm a jump ahead in time before a file waits for the others to catch up
_UNDATED = -1  # no line so far said when it was
_GZIP_MAGIC = b"\x1f\x8b"

Decode = Callable[[bytes], Event | Skipped]


class Line(NamedTuple):
    """One line of a recording."""

    order_ms: int  # its place in time: its own, unless the lines behind it are all earlier (one absurd date holds nothing up)
    time_ms: int  # the post's own time, else that of the line before (of the next, at the start); never ahead of the present
    key: bytes  # id of the post, so that its copies share a partition; of a broken line its hash
    payload: bytes


@dataclass(slots=True)
class Recording:
    """One file being read, and what was met in it so far."""

    name: str
    decode: Decode
    now_ms: int  # a post cannot be of later; a broker may refuse such a timestamp
    lines: int = 0
    broken: int = 0  # do not decode; come out all the same
    skipped: int = 0  # platform messages that are no posts; come out all the same
    blank: int = 0
    too_long: int = 0  # left out
    backwards: int = 0  # earlier than the line before
    most_backwards_ms: int = 0
    _file: BinaryIO | None = field(default=None, repr=False)

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in its own bytes."""
        if self._file is None or self.name == STDIN:
            return 0
        return self.bytes_total if self._file.closed else self._file.tell()

    @property
    def bytes_total(self) -> int:
        """Size of the file; 0 for stdin."""
        return 0 if self.name == STDIN else Path(self.name).stat().st_size

    def read(self) -> Iterator[Line]:
        """The lines in the order of the file; raises ConfigurationError if it cannot be read or is damaged."""
        try:
            with _opened(self.name) as self._file:
                yield from _placed(self._lines(_plain(self._file)), self.now_ms)
        except (OSError, EOFError, zlib.error) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            where = f"cannot read beyond line {self.lines}" if self.lines else "cannot read"
            raise ConfigurationError(f"{self.name}: {where}: {why}") from error

    def _lines(self, stream: io.BufferedIOBase) -> Iterator[Line]:
        time_ms = _UNDATED
        while line := stream.readline(MAX_LINE_BYTES):
            self.lines += 1
            if not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
                self.too_long += 1
                _skip_line(stream)
            elif not (payload := line.rstrip(b"\r\n")).strip():
                self.blank += 1
            else:
                post = self._line(payload, time_ms)
                if post.time_ms < time_ms:
                    self.backwards += 1
                    self.most_backwards_ms = max(self.most_backwards_ms, time_ms - post.time_ms)
                time_ms = post.time_ms
                yield post

    def _line(self, payload: bytes, before_ms: int) -> Line:
        try:
            event = self.decode(payload)
        except MalformedEvent:
            self.broken += 1
            return Line(before_ms, before_ms, _hashed(payload), payload)
        if isinstance(event, Skipped):
            self.skipped += 1
            return Line(before_ms, before_ms, _hashed(payload), payload)
        created_ms = event.created_ms
        time_ms = created_ms if created_ms is not None and 0 <= created_ms <= self.now_ms else before_ms
        return Line(time_ms, time_ms, event.post_id.encode(), payload)


def in_time_order(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Line]]:
    """The lines of all files merged by time; of equal times the file named first comes first.

    A file that goes backwards is not sorted, only counted (`backwards`): memory stays a few lines per file.
    """
    streams = [_tagged(recording) for recording in recordings]
    return heapq.merge(*streams, key=lambda pair: pair[1].order_ms)


def _hashed(payload: bytes) -> bytes:
    return xxhash.xxh3_64_hexdigest(payload).encode()


def _placed(lines: Iterator[Line], now_ms: int) -> Iterator[Line]:
    window: deque[Line] = deque()
    for line in lines:
        window.append(line)
        if len(window) == LOOK_AHEAD:
            yield _place(window, now_ms)
            window.popleft()
    while window:
        yield _place(window, now_ms)
        window.popleft()


def _place(window: deque[Line], now_ms: int) -> Line:
    dated = [line.time_ms for line in window if line.time_ms != _UNDATED]
    first = window[0]
    time_ms = first.time_ms if first.time_ms != _UNDATED else (dated or [now_ms])[0]
    return first._replace(order_ms=min([time_ms, *dated]), time_ms=time_ms)


def _tagged(recording: Recording) -> Iterator[tuple[Recording, Line]]:
    return ((recording, line) for line in recording.read())


def _opened(name: str) -> BinaryIO:
    return io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer)) if name == STDIN else Path(name).open("rb")


def _plain(file: BinaryIO) -> io.BufferedIOBase:
    buffered = cast("io.BufferedReader", file)
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return io.BufferedReader(gzip.GzipFile(fileobj=buffered))
    return buffered


def _skip_line(stream: io.BufferedIOBase) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
