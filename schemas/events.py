"""The canonical event: one social post, reply, repost, quote, edit or delete as received.

`decode_event` is the one door: bytes in, `Event` out, or `MalformedEvent` with a reason from `REASONS`.
Platform payloads (`schemas.platforms`) come out as the same `Event`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["post", "reply", "repost", "quote", "edit", "delete"]

COUNTED_KINDS = frozenset({"post", "reply", "repost", "quote"})  # an edit or a delete is not one more voice

MAX_EVENT_BYTES = 1_000_000  # before parsing; the largest real payload seen (X v2 with expansions) is 60 kB
MAX_TEXT_CHARS = 20_000  # after parsing; longer text is cut, not refused (Mastodon and Reddit allow 40,000 and more)
MAX_ID_CHARS = 512  # ids above are refused: an at:// URI is about 70

REASONS = (
    "empty",  # no bytes, or only white space
    "too_large",  # more than MAX_EVENT_BYTES
    "not_utf8",
    "not_json",  # includes truncated JSON and JSON nested deeper than the parser's limit
    "not_an_event",  # JSON, but not the shape of the configured platform
    "missing_id",
    "bad_id",  # too long, or holds control characters
    "bad_time",  # a time that is no time, or outside years 1970..2200
    "missing_target",  # a delete, edit or repost that does not say of what
    "unsupported",  # a well-formed platform message that is no post: said by name in `detail`
)


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One social event, validated. Empty string means unknown throughout; an unknown author is unknown, not one person."""

    id: str
    """Unique per event and stable across copies; an edit or delete has an id of its own (`<post_id>#delete`)."""
    kind: Kind
    platform: str
    """Lower case: bluesky, mastodon, x, reddit, ..."""
    post_id: str
    """The post that this event is, changes or removes; the raw topic's key, so that they share a partition."""
    text: str = ""
    author: str = ""
    """The platform's own id of the author where there is one, else the handle; never stored, only as keyed hash."""
    created_ms: int | None = None
    """The author's clock, UTC epoch ms; may be late, early or wrong."""
    lang: str = ""
    """BCP 47 primary subtag in lower case, as the platform said."""
    url: str = ""
    """Public link to the post."""
    target_id: str = ""
    """Post replied to, reposted or quoted."""
    community: str = ""
    """Subreddit, instance, channel: the place where a small community notices first."""
    tags: tuple[str, ...] = ()
    """Hashtags the platform sent beside the text, without '#'; those in the text are found there."""
    mentions: tuple[str, ...] = ()
    """Handles the platform sent beside the text, without '@'."""
    links: tuple[str, ...] = ()
    """Absolute URLs the platform sent beside the text (Bluesky shows them shortened)."""
    followers: int | None = None
    """Followers of the author when sent; reach."""
    author_created_ms: int | None = None
    """When the account was made, UTC epoch ms."""
