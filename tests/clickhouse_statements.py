"""Where a statement ends and its data begins, as ClickHouse's own parser sees it. Data is never looked into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["insert", "select", "other"]

_READS = frozenset({b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK"})
_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)"""
    rb"""|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\w+|.""",
    re.DOTALL,
)
_BEFORE_DATA = re.compile(rb"[ \t\f]*(?:\r?\n)?")


class Refused(Exception):
    """ClickHouse's answer to what it does not take: its error code, and a text that names it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Statement:
    """What was asked for. If `data` is there, it is in `form` and comes between `text` and `rest`."""

    kind: Kind
    text: str
    rest: str = ""
    form: str = ""  # of the data, or of the result if the statement says so
    data: bytes | None = None


class _Word(NamedTuple):
    start: int
    end: int
    upper: bytes


def parse(query: bytes) -> Statement:
    """The statement of a request: the URL's `query`, a newline, and the body. Raises Refused (62) for none, or for several."""
    first = next((found[0].upper() for found in _TOKEN.finditer(query) if found["space"] is None and found[0] != b"("), None)
    if first is None:
        raise Refused(62, "Empty query. (SYNTAX_ERROR)")
    if first == b"INSERT":
        return _insert(query)
    form, end, previous = "", len(query), b""
    for word in _words(query):
        if end < len(query):
            raise Refused(62, "Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)")
        if word.upper == b";":
            end = word.start
        if previous == b"FORMAT":
            form = _text(query[word.start : word.end])
        previous = word.upper
    kind: Kind = "select" if first in _READS else "other"
    return Statement(kind, _text(query[:end]), form=form if kind == "select" else "")


def _insert(query: bytes) -> Statement:
    """With its data, if a FORMAT says what that is; VALUES and SELECT are left to the engine."""
    words, settings = _words(query), None
    for word in words:
        if word.upper in (b"VALUES", b"SELECT", b"WITH"):
            break
        if word.upper == b"SETTINGS":
            settings = word.start
        if word.upper == b"FORMAT" and (name := next(words, None)) is not None:
            space = _BEFORE_DATA.match(query, name.end)
            data = query[space.end() if space else name.end :]
            split = word.start if settings is None else settings
            rest = query[split : word.start]
            return Statement("insert", _text(query[:split]), _text(rest), _text(query[name.start : name.end]), data)
    return Statement("insert", _text(query))


def _words(query: bytes) -> Iterator[_Word]:
    """Words and signs outside of parentheses, with the parentheses; read no further than asked."""
    depth = 0
    for found in _TOKEN.finditer(query):
        if found["space"] is not None:
            continue
        depth -= found[0] == b")"
        if depth <= 0:
            yield _Word(found.start(), found.end(), found[0].upper())
        depth += found[0] == b"("


def _text(part: bytes) -> str:
    return part.decode(errors="backslashreplace")
