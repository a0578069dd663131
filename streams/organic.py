"""Whether a surge is many people, or few accounts and copies pretending to be many; with the evidence in words.

Judged on a uniform sample of the posts (a bottom-k by id hash), so that the size of the surge does not matter, and on the counts
of the surge itself. Unknown authors are unknown, not one person: they count neither for nor against. A repost is a person
agreeing, not a copy: reposts of one post are a cascade, and only independent posts with near-identical text are copies.

Of 750 sets of 32 independent recorded posts about one word (two crises, a debate) 2.4 % held more than 12 near-copies, most of them
jokes copied by hand and automated news. A share is blamed from `share` x posts + MARGIN on, so that few posts need nearly all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from streams.posts import Post

DAY_MS = 86_400_000
MARGIN = 2.0
"""Posts that a share may exceed by chance."""


@dataclass(frozen=True, slots=True)
class OrganicParams:
    """Where organic ends. Shares are of sampled posts."""

    min_authored: int = 6  # sampled posts with known author before one account can be blamed
    top_author_share: float = 0.5
    spread_posts: int = 6  # with this many, too few different authors are blamed
    spread_share: float = 0.45  # distinct authors / posts: 32 posts of 50 accounts show 24, of 5 accounts 5
    few_authors: int = 20  # whole surge, of 10 posts or more: at most so many people ...
    posts_per_author: float = 4.0  # ... with so many posts each are few accounts, whatever the sample shows
    min_copies: int = 3
    min_texts: int = 4  # sampled independent posts before copies can be blamed; a burst within a second shows no more at first
    similarity: float = 0.5  # Jaccard of the character shingles; a template with half its words swapped keeps more
    copies_share: float = 0.3  # and MARGIN: 4 of 4, 7 of 16, 12 of 32; half of a campaign may be genuine posts about it
    busy_posts: int = 3  # sampled posts that make an account busy; of 200 fans who post all evening two in a sample are ...
    busy_share: float = 0.35  # ... and MARGIN
    min_ages: int = 8
    thin_days: int = 7  # an account made within these days, or within four times as many and hardly followed, is thin
    thin_followers: int = 10
    thin_share: float = 0.35  # and MARGIN
    hysteresis: float = 0.8  # once blamed, the limits are this much stricter, so that the verdict does not flicker

    def __post_init__(self) -> None:
        shares = (self.top_author_share, self.spread_share, self.copies_share, self.busy_share, self.thin_share)
        if not all(0 < share <= 1 for share in (*shares, self.similarity, self.hysteresis)):
            raise ValueError(f"shares, similarity and hysteresis must be above 0 and at most 1, got {shares}")
        if min(self.min_authored, self.spread_posts, self.min_copies, self.min_texts, self.busy_posts, self.min_ages) < 2:
            raise ValueError("minimum numbers of posts must be 2 or more: one post is no evidence")


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the surge itself says of its people: events and distinct known authors since it began."""

    events: int
    authors: int
    unknown_authors: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`evidence` has one clause per reason, in words; `share` is 1.0 where nothing could be sampled."""

    reasons: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def organic(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def judge(posts: Sequence[Post], crowd: Crowd, params: OrganicParams, *, blamed: bool = False) -> Verdict:
    """The verdict on a surge; `blamed` says that the one before was inorganic."""
    slack = params.hysteresis if blamed else 1.0
    clusters = near_copies(posts, params)
    found = (
        ("flood_accounts", _accounts(posts, crowd, slack, params)),
        ("flood_copies", _copies(posts, clusters, slack, params)),
        ("flood_new_accounts", _thin_accounts(posts, slack, params)),
    )
    blames = [(reason, clause) for reason, clause in found if clause]
    return Verdict(tuple(r for r, _ in blames), tuple(c for _, c in blames), _organic_share(posts, clusters))


def near_copies(posts: Sequence[Post], params: OrganicParams) -> list[list[Post]]:
    """Groups of independent posts whose texts are near-identical, at least `min_copies` each, in the order of their first posts."""
    groups: list[list[Post]] = []
    for post in posts:
        if post.cascade or not post.shingles:
            continue
        group = next((group for group in groups if similarity(group[0], post) >= params.similarity), None)
        if group is None:
            groups.append([post])
        else:
            group.append(post)
    return [group for group in groups if len(group) >= params.min_copies]


def similarity(one: Post, other: Post) -> float:
    """Jaccard similarity of the shingles of two posts; 0 where one is too short."""
    if not one.shingles or not other.shingles:
        return 0.0
    both = len(one.shingles & other.shingles)
    return both / (len(one.shingles) + len(other.shingles) - both)


def _accounts(posts: Sequence[Post], crowd: Crowd, slack: float, params: OrganicParams) -> str:
    authors = Counter(post.event.author for post in posts if post.event.author)
    authored = authors.total()
    top = max(authors.values(), default=0)
    if authored >= params.min_authored and top >= params.top_author_share * slack * authored:
        return f"{top} of {authored} sampled posts are by one account"
    if authored >= params.spread_posts and len(authors) * slack <= params.spread_share * authored:
        return f"{authored} sampled posts are by only {len(authors)} accounts"
    busy = [count for count in authors.values() if count >= params.busy_posts]
    if sum(busy) >= _limit(params.busy_share, authored, slack):
        return f"{sum(busy)} of {authored} sampled posts are by {_accounts_in_words(len(busy))} posting again and again"
    known = crowd.events - crowd.unknown_authors
    few = 0 < crowd.authors <= params.few_authors and known >= 10
    if few and known >= params.posts_per_author * slack * crowd.authors:
        return f"{known} posts are by only {_accounts_in_words(crowd.authors)}"
    return ""


def _accounts_in_words(count: int) -> str:
    return "one account" if count == 1 else f"{count} accounts"


def _copies(posts: Sequence[Post], clusters: list[list[Post]], slack: float, params: OrganicParams) -> str:
    own = [post for post in posts if not post.cascade]
    copies = sum(len(cluster) for cluster in clusters)
    judged = len(own) >= params.min_texts and 3 * len(own) >= len(
        posts
    )  # a cascade with a few posts beside it is not judged by those
    if not judged or copies < _limit(params.copies_share, len(own), slack):
        return ""
    example = " ".join(max(clusters, key=len)[0].event.text.split())
    return f"{copies} of {len(own)} sampled posts are near-identical copies (“{example[:60]}{'…' if len(example) > 60 else ''}”)"


def _thin_accounts(posts: Sequence[Post], slack: float, params: OrganicParams) -> str:
    known = [post for post in posts if post.event.author_created_ms is not None and post.event.created_ms is not None]
    thin = sum(_is_thin(post, params) for post in known)
    if len(known) < params.min_ages or thin < _limit(params.thin_share, len(known), slack):
        return ""
    return f"{thin} of {len(known)} sampled posts are by accounts that are new or hardly followed"


def _limit(share: float, posts: int, slack: float) -> float:
    """From how many of the posts on it is no chance."""
    return slack * (share * posts + MARGIN)


def _is_thin(post: Post, params: OrganicParams) -> bool:
    event = post.event
    assert event.created_ms is not None
    assert event.author_created_ms is not None
    days = (event.created_ms - event.author_created_ms) / DAY_MS
    lonely = event.followers is not None and event.followers < params.thin_followers
    return days < params.thin_days or (lonely and days < 4 * params.thin_days)


def _organic_share(posts: Sequence[Post], clusters: list[list[Post]]) -> float:
    """Share of the posts that are neither copies nor of the author who sent the most, if that one sent more than two."""
    if not posts:
        return 1.0
    authors = Counter(post.event.author for post in posts if post.event.author)
    top, most = max(authors.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    fake = {post.ref for cluster in clusters for post in cluster}
    if most > 2:
        fake |= {post.ref for post in posts if post.event.author == top}
    return round(1 - len(fake) / len(posts), 3)
