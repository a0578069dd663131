"""Which words distinguish some posts from the usual talk: log-odds ratio with an informative Dirichlet prior, as a z-score.

Monroe, Colaresi, Quinn: Fightin' Words (Political Analysis 16, 2008), section 3.5: word w with y posts of n in the focus, y' of n'
in the usual talk and prior a of a0 (here: all talk, scaled down) has

    delta = log((y + a) / (n + a0 - y - a)) - log((y' + a) / (n' + a0 - y' - a))      z = delta / sqrt(1 / (y + a) + 1 / (y' + a))

The result does not depend on the order of the mappings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_PRIOR_POSTS = 500.0  # what all talk weighs, however much of it was heard
_COHESION = 0.6  # share of a word's posts that must hold the phrase for the phrase to stand for the word
_FLOOR = 0.3  # a word never heard before is not impossible; at 0 a word of one post would beat all others


def log_odds(focus: Mapping[str, float], usual: Mapping[str, float], talk: Mapping[str, float]) -> dict[str, float]:
    """z of every word of the focus; all three count posts that hold the word. Empty `usual` and `talk` are allowed."""
    scale = _PRIOR_POSTS / max(math.fsum(talk.values()), _PRIOR_POSTS)
    prior = {word: _FLOOR + scale * talk.get(word, 0.0) for word in focus}
    prior_sum = _PRIOR_POSTS + math.fsum(prior.values())
    focus_sum, usual_sum = math.fsum(focus.values()) + prior_sum, math.fsum(usual.values()) + prior_sum
    return {word: _z(seen + prior[word], focus_sum, usual.get(word, 0.0) + prior[word], usual_sum) for word, seen in focus.items()}


def phrases_first(scores: Mapping[str, float], posts: Mapping[str, int]) -> list[tuple[str, float]]:
    """Words by score, best first; a phrase that most posts of one of its words hold stands for its words, other phrases go."""
    worth = {text: _phrase_worth(text, scores, posts) if " " in text else score for text, score in scores.items()}
    ranked = sorted((text for text in worth if worth[text] > 0), key=lambda text: (-worth[text], " " not in text, text))
    kept: list[tuple[str, float]] = []
    used: set[str] = set()
    for text in ranked:
        if used.isdisjoint(text.split()):
            kept.append((text, worth[text]))
            used.update(text.split())
    return kept


def _phrase_worth(phrase: str, scores: Mapping[str, float], posts: Mapping[str, int]) -> float:
    """The best score among the phrase and the words that seldom come without it; 0: no phrase, its words meet by chance."""
    bound = [word for word in phrase.split() if posts[phrase] >= _COHESION * posts.get(word, 0)]
    return max((scores[text] for text in (phrase, *bound) if text in scores), default=0.0) if bound else 0.0


def _z(seen: float, total: float, usual: float, usual_total: float) -> float:
    delta = math.log(seen / (total - seen)) - math.log(usual / (usual_total - usual))
    return delta / math.sqrt(1 / seen + 1 / usual)
