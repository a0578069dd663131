"""The canonical event: one social post, reply, repost, quote, edit or delete as received.

`decode_event` is the one door: bytes in, `Event` out, or `MalformedEvent` with a reason from `REASONS`.
Platform payloads (`schemas.platforms`) come out as the same `Event`, or as `Skipped` where they are no post.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import msgspec

from schemas.canonical import CanonicalEvent, Kind
from schemas.errors import MalformedEvent
from schemas.fields import (
    MAX_ID_CHARS,
    MAX_TEXT_CHARS,
    MAX_TIME_MS,
    PLAIN_LANGUAGES,
    follower_count,
    identifier,
    iso_ms,
    language,
    name,
    names,
    time_ms,
    web_url,
    web_urls,
)
from schemas.wire import MAX_EVENT_BYTES, PARSE_ERRORS, SHALLOW_BYTES, check_limits, malformed

__all__ = [
    "COUNTED_KINDS",
    "MAX_EVENT_BYTES",
    "MAX_ID_CHARS",
    "MAX_TEXT_CHARS",
    "REASONS",
    "Event",
    "Kind",
    "Skipped",
    "decode_event",
    "delete_id",
    "edit_id",
]

COUNTED_KINDS = frozenset({"post", "reply", "repost", "quote"})  # an edit or a delete is not one more voice

REASONS = (
    "empty",  # no bytes, or only white space
    "too_large",  # more than MAX_EVENT_BYTES
    "not_utf8",
    "not_json",  # includes truncated JSON and JSON nested deeper than MAX_DEPTH (200)
    "not_an_event",  # JSON, but not the shape of the configured platform
    "missing_id",
    "bad_id",  # too long, holds control characters, or is neither text nor whole number
    "bad_time",  # a time that is no time, or outside years 1970..2200
    "missing_target",  # a delete, edit or repost that does not say of what
    "unsupported",  # a well-formed message of a shape or kind that is not read: said by name in `detail`
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


class Skipped(msgspec.Struct, frozen=True):
    """A well-formed platform message that is no post: a like, a follow, a heartbeat. Counted as filtered, never a dead letter."""

    reason: str  # one of few words, fit for a metric label


_decode = msgspec.json.Decoder(CanonicalEvent).decode


def decode_event(data: bytes) -> Event | Skipped:
    """The event of these bytes of canonical JSON; raises MalformedEvent, and nothing else, on whatever is no event.

    One pass without loops for an ordinary post; what is rare is looked at in functions of its own.
    """
    if not data or len(data) > SHALLOW_BYTES:
        check_limits(data)
    try:
        raw = _decode(data)
    except PARSE_ERRORS as error:
        raise malformed(error, data) from None
    created_ms = raw.created_ms
    if created_ms is not None:
        if not 0 <= created_ms < MAX_TIME_MS:
            time_ms(created_ms)
    elif raw.created_at is not None:
        created_ms = iso_ms(raw.created_at)

    event_id = post_id = own if (own := raw.id).__class__ is str else _id_text(own)
    author = who if (who := raw.author).__class__ is str else _id_text(who)
    kind: Kind = "post"
    target_id = ""
    if not (
        raw.kind is raw.post_id is raw.reply_to is raw.repost_of is raw.quote_of is raw.repost_of_author is raw.target_id is None
    ):
        kind, target_id = _relation(raw)
        event_id, post_id = _own_ids(raw, kind, event_id, created_ms)
    if not event_id:
        raise MalformedEvent("missing_id", "an event needs an id")
    if len(ids := event_id + author + post_id + target_id) > MAX_ID_CHARS or not ids.isprintable():
        for one in (raw.id, author, post_id, target_id):  # event_id may be longer: it is ours if it is not raw.id
            identifier(one)

    return Event(
        event_id,
        kind,
        _platform(raw.platform),
        post_id,
        raw.text[:MAX_TEXT_CHARS] if raw.text and kind != "delete" else "",
        author,
        created_ms,
        lang if (lang := raw.lang) in PLAIN_LANGUAGES else language(lang),
        web_url(raw.url) if raw.url else "",
        target_id,
        _community(raw) if raw.community or raw.subreddit else "",
        names(raw.tags, "#") if raw.tags else (),
        names(raw.mentions, "@") if raw.mentions else (),
        web_urls(raw.links) if raw.links else (),
        None if raw.followers is raw.author_followers is None else _followers(raw),
        None if (made_ms := raw.author_created_ms) is None or not 0 <= made_ms < MAX_TIME_MS else made_ms,
    )


@lru_cache(maxsize=1_024)
def _platform(text: str | None) -> str:
    return name(text).lower() or "unknown"


def delete_id(post_id: str) -> str:
    """Id of the event that removes a post: one per post, however often it is said."""
    return f"{post_id}#delete"


def edit_id(post_id: str, edited_ms: int | None, text: str) -> str:
    """Id of the event that changes a post: one per time of edit, or per text where the time is not known."""
    return f"{post_id}#edit@{edited_ms}" if edited_ms is not None else f"{post_id}#edit~{crc32(text.encode()):08x}"


def _id_text(value: str | int | None) -> str:
    return "" if value is None else str(value)


def _relation(raw: CanonicalEvent) -> tuple[Kind, str]:
    """What the event is, and of which post; `missing_target` for a repost of nothing."""
    repost_of, quote_of, reply_to = _id_text(raw.repost_of), _id_text(raw.quote_of), _id_text(raw.reply_to)
    reposted = repost_of or _id_text(raw.repost_of_author)
    kind = raw.kind or ("repost" if reposted else "quote" if quote_of else "reply" if reply_to else "post")
    if kind == "delete":
        return kind, ""
    by_kind = {"repost": repost_of, "quote": quote_of, "reply": reply_to}
    target_id = by_kind.get(kind) or _id_text(raw.target_id) or repost_of or quote_of or reply_to
    if kind == "repost" and not (target_id or reposted):
        raise MalformedEvent("missing_target", "a repost needs repost_of, or repost_of_author where the id is not known")
    return kind, target_id


def _own_ids(raw: CanonicalEvent, kind: Kind, event_id: str, created_ms: int | None) -> tuple[str, str]:
    """Ids of the event and of its post; an edit or delete that only repeats the post's id gets its own."""
    post_id = _id_text(raw.post_id) or (_id_text(raw.target_id) if kind == "delete" else "") or event_id
    if kind not in ("edit", "delete"):
        return event_id or post_id, post_id
    if not post_id:
        raise MalformedEvent("missing_target", f"{kind} of what? It needs post_id, or the post's id as id")
    if event_id and event_id != post_id:
        return event_id, post_id
    return delete_id(post_id) if kind == "delete" else edit_id(post_id, created_ms, raw.text or ""), post_id


def _community(raw: CanonicalEvent) -> str:
    return name(raw.community) or name(f"r/{raw.subreddit}" if raw.subreddit else "")


def _followers(raw: CanonicalEvent) -> int | None:
    return follower_count(raw.followers if raw.followers is not None else raw.author_followers)
