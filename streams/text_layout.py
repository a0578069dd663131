"""The loop behind `streams.text`: texts one after the other, ASCII normalised on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int64]

_NOTHING, _SPACE, _NEWLINE = 0, 32, 10
_READ_AS = np.array(
    [ord(c.lower()) if c.isprintable() else _SPACE if c in "\t\n\v\f\r" else _NOTHING for c in map(chr, range(128))], np.uint8
)


@compiled
def lay_out(data: _Bytes, sizes: _Ints, wide: NDArray[np.bool_], others: _Bytes, other_sizes: _Ints) -> tuple[_Bytes, _Ints]:
    """Texts with a newline behind each, and where that stands.

    Those that are not `wide` are ASCII: in lower case, without control characters, every run of white space as one space. For the
    wide ones the next of the `others` is taken as it is.
    """
    out, ends = np.empty(data.size + others.size + sizes.size, np.uint8), np.empty(sizes.size, np.int64)
    at = start = other = taken = 0
    for row in range(sizes.size):
        if wide[row]:
            for i in range(taken, taken + other_sizes[other]):
                out[at] = others[i]
                at += 1
            taken += other_sizes[other]
            other += 1
        else:
            before = _NOTHING
            for i in range(start, start + sizes[row]):
                byte = _READ_AS[data[i]]
                out[at] = byte  # the next one takes its place if it is not to stay
                at += byte != _NOTHING and (byte != _SPACE or before != _SPACE)
                before = before if byte == _NOTHING else byte
        ends[row] = at
        out[at] = _NEWLINE
        at += 1
        start += sizes[row]
    return out[:at].copy(), ends
