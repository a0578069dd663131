"""What posts are like, in numbers: small enough to be kept where the posts themselves must not be.

python -m tests.benchmarks.statistics [DIR]     writes statistics.json anew from the recordings
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tests.benchmarks.corpus import Post

_FILE = Path(__file__).with_name("statistics.json")
_QUANTILES = 20
_WORD = re.compile(r"\w{3,}")


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of a few ten thousand posts. Shares are of all posts, 0..1."""

    posts: int
    lengths: list[int]  # of texts in characters: 0 %, 5 %, ... 100 %
    languages: dict[str, float]  # primary subtag; "": the platform said nothing
    with_hashtag: float
    with_mention: float
    with_link: float
    not_ascii: float
    reposts: float
    replies: float
    repeated_texts: float  # share of posts whose text an earlier one has
    common_words: int  # words of more than RARE_POSTS posts
    common_frequencies: list[int]  # of these the posts that have the 1st, 2nd, 4th, 8th, ... most frequent
    tail_share: float  # of all (post, word) pairs, those of rarer words

    def length(self, at: float) -> int:
        """The length below which that share of the texts is; the longest are cut at the last but one quantile."""
        place = at * (_QUANTILES - 1)
        low, high = self.lengths[int(place)], self.lengths[min(int(place) + 1, _QUANTILES - 1)]
        return int(low + (high - low) * (place % 1))

    def common_weights(self) -> list[float]:
        """Cumulative weights of the common words, most frequent first, between the powers of two on a straight log-log line."""
        weights = []
        for rank in range(self.common_words):
            octave = min((rank + 1).bit_length() - 1, len(self.common_frequencies) - 2)
            low, high = self.common_frequencies[octave], self.common_frequencies[octave + 1]
            weights.append(low * (high / low) ** ((rank + 1) / 2**octave - 1))
        return list(accumulate(weights))

    def language_choices(self) -> tuple[list[str], list[float]]:
        """Languages and their weights."""
        return list(self.languages), list(self.languages.values())


def measure(posts: Sequence[Post], rare_posts: int) -> Statistics:
    """The statistics of posts."""
    count, texts = len(posts), [post.text for post in posts]
    lengths = sorted(map(len, texts))
    words = Counter(word for text in texts for word in set(_WORD.findall(text.lower())))
    common = sorted((n for n in words.values() if n > rare_posts), reverse=True)
    languages = Counter(post.lang for post in posts)
    return Statistics(
        posts=count,
        lengths=[lengths[min(count * i // _QUANTILES, count - 1)] for i in range(_QUANTILES + 1)],
        languages={lang: round(n / count, 4) for lang, n in languages.most_common(12)},
        with_hashtag=round(sum("#" in text for text in texts) / count, 4),
        with_mention=round(sum("@" in text for text in texts) / count, 4),
        with_link=round(sum("http" in text for text in texts) / count, 4),
        not_ascii=round(sum(not text.isascii() for text in texts) / count, 4),
        reposts=round(sum(bool(post.repost_of_author) for post in posts) / count, 4),
        replies=round(sum(post.reply for post in posts) / count, 4),
        repeated_texts=round(1 - len(set(texts)) / count, 4),
        common_words=len(common),
        common_frequencies=[common[min(2**i - 1, len(common) - 1)] for i in range(len(common).bit_length() + 1)],
        tail_share=round(1 - sum(common) / words.total(), 4),
    )


def stored_statistics() -> Statistics:
    """Those of the recorded posts, as they were last measured."""
    return msgspec.json.decode(_FILE.read_bytes(), type=Statistics)


def main() -> int:
    """Measures the recordings."""
    from tests.benchmarks.corpus import RARE_POSTS, RECORDINGS, recorded_posts

    posts = list(recorded_posts(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS))
    if not posts:
        sys.stderr.write("no recordings here\n")
        return 1
    _FILE.write_bytes(msgspec.json.format(msgspec.json.encode(measure(posts, RARE_POSTS)), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
