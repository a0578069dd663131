"""Results go to stdout, remarks to stderr, so that a pipe gets results only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

MAX_CELL_CHARS = 100  # a cell above is cut in tables, never in JSON


def say(text: str = "") -> None:
    """One line of result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """One line for the person at the terminal, not part of the result."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Aligned columns under a header; numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *body]) for i in range(len(header))]
    numeric = [bool(body) and all(_is_number(line[i]) for line in body) for i in range(len(header))]
    lines = [list(header), ["-" * width for width in widths], *body]
    return "\n".join(_aligned(line, widths, numeric) for line in lines)


def printable(text: str) -> str:
    """The text without control characters: a post must not be able to drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _cell(value: object) -> str:
    text = printable("" if value is None else str(value))
    return text if len(text) <= MAX_CELL_CHARS else text[: MAX_CELL_CHARS - 1] + "…"


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal() or not text


def _aligned(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    cells = [c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric, strict=True)]
    return "  ".join(cells).rstrip()
