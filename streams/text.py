r"""Text as every other operator reads it; any row can be recomputed alone, in ten lines of Python.

`normalise` does this, in this order, to each text:

1. remove control and format characters (Unicode categories Cc, Cf, except white space: zero width, bidi, soft hyphen) and the
   other invisible ones (variation selectors, fillers): they would split words that look whole, or glue an emoji to a hashtag;
2. turn enclosing marks (category Me) and the signs U+2122 (trade mark) and U+2120 (service mark) into a space, so that NFKC
   does not glue `TM` to the brand in front;
3. NFKC;
4. lower case (not case folding: `straße` stays), every final sigma as a plain sigma;
5. every run of white space is one space.

Texts that a step would not change skip it: ASCII 2 and 3, and texts of characters that NFKC leaves alone in any company
(SETTLED) 3.

A *word character* is a letter, mark or number (categories L*, M*, N*) or `_`. *Scripts without spaces* are the code point ranges
in NO_SPACES: Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.events import MAX_TEXT_CHARS
from streams.text_layout import lay_out

MAX_BESIDE = 64  # tags, mentions and links each that are read of a post
_MAX_TAG_CHARS = 256
_MAX_LINK_CHARS = 2_048

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Myanmar, Khmer
NO_SPACES = HAN + KATAKANA + SOUTH_EAST + "\u3041-\u3096\u3099-\u309f"
HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"

# All patterns are read by polars' linear-time regex engine.
_INVISIBLE = (
    r"[[\p{Cc}\p{Cf}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0100}-\x{e01ef}]"
    r"--[\t-\r\x{85}]]"
)
_UNGLUE = r"[\p{Me}\x{2120}\x{2122}]"
_SPACES = r"\s{2,}|[\s--\x20]"
# Characters that are NFKC themselves, of combining class 0, and no second half of a composition: most of what is written.
SETTLED = (
    "\t-\r -~\xa1-\xa7\xa9\xab-\xae\xb0\xb1\xb6\xb7\xbb\xbf-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0180-\u01c3\u0391-\u03a1"
    "\u03a3-\u03cf\u0400-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a\u0660-\u0669\u0904-\u0939\u0e01-\u0e30\u2010\u2012-\u2016"
    "\u2018-\u2023\u2032\u2190-\u21ff\u25a0-\u27bf\u3001\u3002\u3008-\u3011\u3041-\u3094\u30a1-\u30fa\u30fc\u4e00-\u9fff\uac00-\ud7a3"
    "\U0001f300-\U0001faff"
)
_UNSETTLED = f"[^{SETTLED}]"

_ITEM = pl.element()
_TAG = "#" + _ITEM.str.head(_MAX_TAG_CHARS).str.strip_chars_start("#").str.replace_all(r"\s", "")
_MENTION = "@" + _ITEM.str.head(_MAX_TAG_CHARS).str.extract(r"^@?([0-9A-Za-z_]+(?:[.@-][0-9A-Za-z_]+)*)$").drop_nulls()
_LINK = _ITEM.str.head(_MAX_LINK_CHARS).str.extract(r"^((?i:https?)://\S+)").drop_nulls()
_BESIDE = [
    pl.col(name).list.head(MAX_BESIDE).list.eval(item).list.join(" ")
    for name, item in (("tags", _TAG), ("mentions", _MENTION), ("links", _LINK))
]


@dataclass(frozen=True, slots=True)
class Texts:
    """Normalised texts in UTF-8, a newline behind each: none holds one."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]
    """Where each text ends, which is where its newline stands."""

    def series(self) -> pl.Series:
        """The same as strings."""
        return pl.Series(self.data.tobytes().decode().split("\n")[:-1], dtype=pl.String)


def read_texts(texts: pl.Series) -> Texts:
    """The texts as the module docstring says; null reads as empty."""
    texts = texts.fill_null("")
    data, sizes = _joined(texts)
    wide = sizes != texts.str.len_chars().to_numpy()
    others, other_sizes = _joined(_normalise_wide(texts.filter(wide)))
    return Texts(*lay_out(data, sizes, wide, others, other_sizes))


def normalise(texts: pl.Series) -> pl.Series:
    """The same as strings."""
    return read_texts(texts).series()


def read_posts(posts: pl.DataFrame) -> Texts:
    """The normalised text of each post, with what the platform sent beside it as if it stood behind it.

    Of `tags`, `mentions` and `links` the first MAX_BESIDE count. Each adds a space and `#tag` (without its white space), `@mention`
    (if it is a handle: letters, digits and `_`, with single `.`, `-`, `@` between them) or the link (if it is http or https).
    """
    texts = posts["text"].fill_null("").str.head(MAX_TEXT_CHARS) if _too_long(posts["text"]) else posts["text"]
    beside = posts.select(pl.any_horizontal(pl.col("tags", "mentions", "links").list.len() > 0)).to_series().fill_null(False)
    if beside.any():
        values = posts.filter(beside).select(pl.concat_str(pl.lit(" "), *_BESIDE, separator=" ", ignore_nulls=True)).to_series()
        texts = _replace(texts, beside, texts.filter(beside).fill_null("") + values)
    return read_texts(texts)


def is_word_character(character: str) -> bool:
    """Whether it is a letter, mark, number or underscore."""
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _too_long(texts: pl.Series) -> bool:
    return int(texts.str.len_bytes().max() or 0) > MAX_TEXT_CHARS  # type: ignore[arg-type]  # an integer column


def _joined(texts: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All bytes, and how many are of each."""
    parts = texts.cast(pl.Binary).to_list()
    return np.frombuffer(b"".join(parts), dtype=np.uint8), np.fromiter(map(len, parts), np.int64, len(parts))


def _normalise_wide(texts: pl.Series) -> pl.Series:
    visible = texts.str.replace_all(_INVISIBLE, "").str.replace_all(_UNGLUE, " ")
    unsettled = visible.str.contains(_UNSETTLED)
    composed = _replace(visible, unsettled, visible.filter(unsettled).str.normalize("NFKC"))
    return composed.str.to_lowercase().str.replace_all("ς", "σ", literal=True).str.replace_all(_SPACES, " ")


def _replace(base: pl.Series, where: pl.Series, values: pl.Series) -> pl.Series:
    order = np.arange(len(base), dtype=np.uint32)
    order[where.to_numpy()] = np.arange(len(base), len(base) + len(values), dtype=np.uint32)
    return pl.concat([base, values.alias(base.name)]).gather(order)
