"""Which terms belong to one event: those whose posts are, in good part, the same posts or name each other.

Compared is with the lead term above all, so that two events which share a common word ("goal", "breaking") stay two. Sample
references are a bottom-k by id hash, so equal sets of posts have equal samples; a term inside a much bigger one shows by its
posts naming it.

People rarely write two hashtags for one thing, so a second hashtag of an event names neither the first nor the same posts. It
shows by what is said with it: the same words in like shares, and several of them rising, that is members of the moment. What the
whole stream says anyway does not rise and is no evidence; what only one of two like events says ("Acme recall", "Globex recall")
keeps them apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from streams.posts import Post, voices
from streams.talk import Talk

_MAX_VOCABULARY = 200


class Footprint(msgspec.Struct):
    """By what a moment is recognised. Shares are of `posts` sampled posts that name the lead term."""

    terms: list[str]  # lead first
    hashes: list[int]  # id hashes of sampled posts, ascending
    vocabulary: dict[str, int] = {}  # term -> posts that name it; msgspec copies it
    posts: int = 0

    @property
    def lead(self) -> str:
        """The lead term."""
        return self.terms[0]

    def share(self, term: str) -> float:
        """Share of the posts that name the term."""
        return self.vocabulary.get(term, 0) / self.posts if self.posts else 0.0


@dataclass(frozen=True, slots=True)
class ComovingParams:
    """Unrelated events share some hundredth of their posts; terms of one event mostly a third and more."""

    lead_share: float = 0.3  # enough on its own
    member_share: float = 0.5  # of posts naming one other member of the moment: enough ...
    bridge_share: float = 0.1  # ... if at least so many name the lead, else a common word would chain two events
    min_shared: int = 2  # posts; one post may name anything
    context_share: float = 0.4  # of the posts of both that hold the same word: what both are about ...
    context_words: int = 3  # ... if there are so many; one or two may be what the whole stream is about
    context_posts: int = 4  # of both
    likeness: float = 0.45  # cosine of the shares of words: of one event mostly 0.4 to 0.8, of two 0.1, at one brand up to 0.4 ...
    # ... if `bridge_share` of the posts name the lead ...
    brand_share: float = 0.8  # ... or so many of the posts of both name the same brand
    kin_likeness: float = 0.25  # enough of it ...
    kin_words: int = 2  # ... if so many members of the moment at once ...
    kin_share: float = 0.25  # ... are in so many of the term's posts; of two events seldom a tenth, and then unlike

    def __post_init__(self) -> None:
        if not all(0 < share <= 1 for share in (self.likeness, self.kin_likeness, self.kin_share, self.brand_share)):
            raise ValueError("likeness, kin_likeness, kin_share and brand_share must be above 0 and at most 1")
        if not 0 < self.bridge_share <= self.lead_share <= 1 or not 0 < self.member_share <= 1:
            raise ValueError("expected 0 < bridge_share <= lead_share <= 1 and 0 < member_share <= 1")


def link(
    term: str, posts: Sequence[Post], hashes: Sequence[int], footprint: Footprint, params: ComovingParams, talk: Talk | None = None
) -> float:
    """How strongly the term belongs to the moment, 0: not at all. `posts` and `hashes` are the term's own samples.

    What is said alike is evidence against `talk`, all that is usually said; without, it is none.
    """
    enough = min(len(posts), footprint.posts) >= params.context_posts
    posts = voices(posts)
    lead = max(
        _naming(posts, footprint.lead, params),
        footprint.share(term) if footprint.vocabulary.get(term, 0) >= params.min_shared else 0.0,
        _overlap(hashes, footprint.hashes, params),
    )
    if lead >= params.lead_share:
        return 1.0 + lead
    member = max((_naming(posts, other, params) for other in footprint.terms[1:]), default=0.0)
    bridges = sum(post.holds(footprint.lead) for post in posts)
    if member >= params.member_share and bridges >= max(params.bridge_share * len(posts), 1):
        return member
    if not enough:
        return 0.0
    counts = Counter(name for post in posts for name in post.terms)
    if talk is not None:
        alike = _likeness(term, counts, len(posts), footprint, talk)
        kin = _kin(term, posts, footprint, params)
        akin = bridges >= max(params.bridge_share * len(posts), params.min_shared)
        akin = akin or _same_brand(counts, len(posts), footprint, params)
        if (kin and alike >= params.kin_likeness) or (akin and alike >= params.likeness):
            return 0.1 + 0.1 * alike
        if kin and _same_word(term, footprint, params):
            return 0.1
    return 0.1 if _same_context(term, counts, len(posts), footprint, params) else 0.0


def vocabulary(posts: Iterable[Post]) -> dict[str, int]:
    """How many posts name each term, the most frequent ones."""
    counts = Counter(term for post in posts for term in _named(post))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_VOCABULARY])


def _named(post: Post) -> frozenset[str]:
    return post.terms | {f"keyword:{word}" for word in post.words if " " in word}


def _naming(posts: Sequence[Post], term: str, params: ComovingParams) -> float:
    named = sum(post.holds(term) for post in posts)
    return named / len(posts) if named >= params.min_shared else 0.0


def _likeness(term: str, counts: Mapping[str, int], posts: int, footprint: Footprint, talk: Talk) -> float:
    """Cosine of what is said with the term and with the lead, apart from the two themselves and from what is usual."""
    named = {_value(term), _value(footprint.lead)}
    one = _said(counts, posts, named, talk)
    other = _said(footprint.vocabulary, footprint.posts, named, talk)
    both = math.fsum(share * other.get(name, 0) for name, share in one.items())
    return both / math.sqrt(_square(one) * _square(other)) if both else 0.0


def _said(counts: Mapping[str, int], posts: int, but: set[str], talk: Talk) -> dict[str, float]:
    """Share of the posts, above the usual, that hold each word, hashtag, handle and link; brands and phrases are words again."""
    said = {}
    for name, count in counts.items():
        if count > 1 and not name.startswith("brand:") and " " not in name and _value(name) not in but:
            usual = talk.share(("#" if name.startswith("hashtag:") else "") + _value(name))
            said[name] = max(count / posts - usual, 0.0)
    return said


def _square(shares: Mapping[str, float]) -> float:
    return math.fsum(share * share for share in shares.values())


def _kin(term: str, posts: Sequence[Post], footprint: Footprint, params: ComovingParams) -> bool:
    """Whether a good part of the posts hold several members of the moment, be it always others."""
    named = {_value(term), _value(footprint.lead)}
    members = [name for name in footprint.terms[1:] if not name.startswith("brand:") and _value(name) not in named]
    kin = sum(sum(post.holds(name) for name in members) >= params.kin_words for post in posts)
    return kin >= max(params.kin_share * len(posts), params.min_shared)


def _same_word(term: str, footprint: Footprint, params: ComovingParams) -> bool:
    """#fireball, where fireball rises with the lead or is said with it."""
    others = {f"{kind}:{_value(term)}" for kind in ("keyword", "hashtag")}
    return any(other in footprint.terms or footprint.share(other) >= params.lead_share for other in others)


def _same_brand(counts: Mapping[str, int], posts: int, footprint: Footprint, params: ComovingParams) -> bool:
    named = (name for name, count in counts.items() if name.startswith("brand:") and count >= params.brand_share * posts)
    return any(footprint.share(name) >= params.brand_share for name in named)


def _same_context(term: str, counts: Mapping[str, int], posts: int, footprint: Footprint, params: ComovingParams) -> bool:
    """Whether both are about the same few things, though neither names the other: different words for one event."""
    shared = {
        _value(name)
        for name, count in counts.items()
        if not name.startswith("brand:") and count >= params.context_share * posts and footprint.share(name) >= params.context_share
    }
    return len(shared - {_value(term), _value(footprint.lead)}) >= params.context_words


def _value(term: str) -> str:
    return term.partition(":")[2]


def _overlap(one: Sequence[int], other: Sequence[int], params: ComovingParams) -> float:
    """Shared samples by the smaller set; at the very start one post may be all there is."""
    both, least = len(set(one) & set(other)), min(len(one), len(other))
    return both / least if both >= min(params.min_shared, max(least, 1)) else 0.0
