"""What is usually said: decayed counts of the words of posts that curate has read, of everything and of the terms that led moments.

Bounded: MAX_WORDS words in all talk, MAX_TERMS terms with TERM_WORDS each. Restored and continued equals uninterrupted.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MAX_WORDS = 20_000
MAX_TERMS = 200
TERM_WORDS = 300
_HALF_LIFE_MS = 86_400_000  # yesterday counts half: talk follows the days, and a week old crisis is no longer usual
_NEGLIGIBLE = 0.05
_UNHEARD_POSTS = 50  # the first few posts that are heard are not yet what is usual


class Talk(msgspec.Struct):
    """Posts that held each word, decayed to `at_ms`."""

    at_ms: int = 0
    words: dict[str, float] = {}  # msgspec copies it
    posts: float = 0.0  # heard in all

    def share(self, word: str) -> float:
        """Share of the posts that hold the word, as far as one can say."""
        return self.words.get(word, 0.0) / (self.posts + _UNHEARD_POSTS)


class UsualTalk(msgspec.Struct):
    """All talk, and the talk of single terms, the latest heard last."""

    everything: Talk = msgspec.field(default_factory=Talk)
    terms: dict[str, Talk] = {}


def hear(usual: UsualTalk, terms: tuple[str, ...], words: Mapping[str, int], posts: int, at_ms: int) -> None:
    """Adds posts that were read, and how many hold each word: to all talk, and to the talk of these terms."""
    if not words:
        return
    _add(usual.everything, words, posts, at_ms, MAX_WORDS)
    for term in terms:
        talk = usual.terms.pop(term, None) or Talk(at_ms)
        usual.terms[term] = talk
        _add(talk, words, posts, at_ms, TERM_WORDS)
    while len(usual.terms) > MAX_TERMS:
        del usual.terms[next(iter(usual.terms))]


def talk_of(usual: UsualTalk, term: str) -> Mapping[str, float]:
    """Words heard with the term before."""
    talk = usual.terms.get(term)
    return talk.words if talk else {}


def _add(talk: Talk, words: Mapping[str, int], posts: int, at_ms: int, limit: int) -> None:
    left = 0.5 ** (max(at_ms - talk.at_ms, 0) / _HALF_LIFE_MS)
    faded = {word: count * left for word, count in talk.words.items() if count * left >= _NEGLIGIBLE}
    for word, count in words.items():
        faded[word] = faded.get(word, 0.0) + count
    if len(faded) > limit:
        kept = sorted(faded, key=lambda word: (-faded[word], word))[:limit]
        faded = {word: faded[word] for word in kept}
    talk.words, talk.posts = faded, talk.posts * left + posts
    talk.at_ms = max(at_ms, talk.at_ms)
