"""The canonical event as JSON: what a producer writes on the raw topic. `schemas.events.decode_event` reads it."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["post", "reply", "repost", "quote", "edit", "delete"]


class CanonicalEvent(msgspec.Struct, gc=False):
    """One social event as JSON on the raw topic, one per record, key = post_id. Unknown fields are ignored, null means absent.

    An `id` is needed (or a `post_id`); all else is optional.
    """

    id: str | int | None = None
    """Unique per event and the same in every copy of it. An edit or delete that only repeats the post's id gets its own."""
    kind: Kind | None = None
    """If absent: repost with repost_of or repost_of_author, else quote with quote_of, else reply with reply_to, else post."""
    platform: str | None = None
    """bluesky, mastodon, x, reddit, ...; put into lower case, "unknown" if absent."""
    post_id: str | int | None = None
    """The post that this event is, changes or removes; if absent, the id."""
    text: str | None = None
    """Plain text, cut at 20,000 characters."""
    author: str | int | None = None
    """The platform's own id of the author, else the handle; absent or empty means unknown. Never stored, only as keyed hash."""
    created_ms: int | None = None
    """When the author posted, UTC epoch ms, years 1970..2200; if absent, created_at."""
    created_at: str | None = None
    """When the author posted, ISO 8601; without zone it is UTC. If both times are absent, the record's timestamp counts."""
    lang: str | None = None
    """BCP 47 tag; only the primary subtag is kept. If absent, it is guessed from the text."""
    url: str | None = None
    """Public http(s) link to the post."""
    reply_to: str | int | None = None
    """Id of the post replied to."""
    repost_of: str | int | None = None
    """Id of the post reposted without a word of one's own."""
    repost_of_author: str | int | None = None
    """Author of the post reposted, where its id is not known."""
    quote_of: str | int | None = None
    """Id of the post quoted."""
    target_id: str | int | None = None
    """In place of reply_to, repost_of or quote_of when `kind` is given; for a delete, the post to remove."""
    community: str | None = None
    """Subreddit (as r/name), instance or channel."""
    subreddit: str | None = None
    """Subreddit without r/; community if that is absent."""
    tags: list[str] | None = None
    """Hashtags known beside the text; those in the text are found there."""
    mentions: list[str] | None = None
    """Handles known beside the text; those in the text are found there."""
    links: list[str] | None = None
    """Absolute http(s) URLs known beside the text; those in the text are found there."""
    followers: int | None = None
    """Followers of the author when this was sent."""
    author_followers: int | None = None
    """The same, under its other name."""
    author_created_ms: int | None = None
    """When the account was made, UTC epoch ms."""
