"""What a character is to the rules for terms: flags by code point, as polars' regular expressions see it."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.text import HAN, HANGUL, KATAKANA, NO_SPACES, SOUTH_EAST

LETTER = 1
WORD = 2  # letter, mark, number or underscore
PLAIN = 4  # letter, mark or number of a script with spaces
IS_HAN = 8
IS_KATAKANA = 16
IS_SOUTH_EAST = 32
SPACELESS = 64  # any of a script without spaces
IS_HANGUL = 128
ENDS_URL = 256
SIGN = 512  # '#', '@' or '&'
NAME = 1024  # of a handle: a-z, 0-9 and '_'

_CLASSES = {
    LETTER: r"\p{L}",
    WORD: r"[\p{L}\p{M}\p{N}_]",
    PLAIN: rf"[\p{{L}}\p{{M}}\p{{N}}--[{NO_SPACES}]]",
    IS_HAN: f"[{HAN}]",
    IS_KATAKANA: f"[{KATAKANA}]",
    IS_SOUTH_EAST: f"[{SOUTH_EAST}]",
    SPACELESS: f"[{NO_SPACES}]",
    IS_HANGUL: f"[{HANGUL}]",
    ENDS_URL: r'[\s"<>\x{e00}-\x{eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{2e80}-\x{d7ff}\x{20000}-\x{3ffff}]',
    SIGN: "[#@&]",
    NAME: "[a-z0-9_]",
}
# Code points that may have a flag; all others are surrogates, unassigned or for private use.
_POINTS = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))


@cache
def character_flags() -> NDArray[np.uint16]:
    """The flags of every code point; made in a tenth of a second, once."""
    points = [point for some in _POINTS for point in some]
    characters = pl.Series(map(chr, points))
    found = sum(characters.str.contains(pattern).to_numpy().astype(np.uint16) * flag for flag, pattern in _CLASSES.items())
    flags = np.zeros(0x110000, dtype=np.uint16)
    flags[points] = found
    return flags
