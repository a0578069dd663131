"""Which terms belong to one event: those whose posts are, in good part, the same posts or name each other.

Compared is with the lead term above all, so that two events which share a common word ("goal", "breaking") stay two. Sample
references are a bottom-k by id hash, so equal sets of posts have equal samples; a term inside a much bigger one shows by its
posts naming it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from streams.posts import Post

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

    def __post_init__(self) -> None:
        if not 0 < self.bridge_share <= self.lead_share <= 1 or not 0 < self.member_share <= 1:
            raise ValueError("expected 0 < bridge_share <= lead_share <= 1 and 0 < member_share <= 1")


def link(term: str, posts: Sequence[Post], hashes: Sequence[int], footprint: Footprint, params: ComovingParams) -> float:
    """How strongly the term belongs to the moment, 0: not at all. `posts` and `hashes` are the term's own samples."""
    lead = max(
        _naming(posts, footprint.lead, params),
        footprint.share(term) if footprint.vocabulary.get(term, 0) >= params.min_shared else 0.0,
        _overlap(hashes, footprint.hashes, params),
    )
    if lead >= params.lead_share:
        return 1.0 + lead
    member = max((_naming(posts, other, params) for other in footprint.terms[1:]), default=0.0)
    bridged = sum(post.holds(footprint.lead) for post in posts) >= max(params.bridge_share * len(posts), 1)
    if member >= params.member_share and bridged:
        return member
    return 0.1 if _same_context(term, posts, footprint, params) else 0.0


def vocabulary(posts: Iterable[Post]) -> dict[str, int]:
    """How many posts name each term, the most frequent ones."""
    counts = Counter(term for post in posts for term in _named(post))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_VOCABULARY])


def _named(post: Post) -> frozenset[str]:
    return post.terms | {f"keyword:{word}" for word in post.words if " " in word}


def _naming(posts: Sequence[Post], term: str, params: ComovingParams) -> float:
    named = sum(post.holds(term) for post in posts)
    return named / len(posts) if named >= params.min_shared else 0.0


def _same_context(term: str, posts: Sequence[Post], footprint: Footprint, params: ComovingParams) -> bool:
    """Whether both are about the same things, though neither names the other: different words for one event."""
    if min(len(posts), footprint.posts) < params.context_posts:
        return False
    counts = Counter(name for post in posts for name in post.terms)
    shared = {
        name.partition(":")[2]
        for name, count in counts.items()
        if count >= params.context_share * len(posts) and footprint.share(name) >= params.context_share
    }
    return len(shared - {term.partition(":")[2], footprint.lead.partition(":")[2]}) >= params.context_words


def _overlap(one: Sequence[int], other: Sequence[int], params: ComovingParams) -> float:
    """Shared samples by the smaller set; at the very start one post may be all there is."""
    both, least = len(set(one) & set(other)), min(len(one), len(other))
    return both / least if both >= min(params.min_shared, max(least, 1)) else 0.0
