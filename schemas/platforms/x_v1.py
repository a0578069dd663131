"""X v1.1: tweets with everything inside, and the delete notices of the streams."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Kind, Skipped, delete_id
from schemas.fields import cut, follower_count, identifier, iso_ms_or_none, language, names, time_ms, web_url, web_urls

_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # 2010-11-04, when ids began to hold the time
_FIRST_SNOWFLAKE = 10**11  # ids before that were counted up, to 3 * 10**10
_MONTHS = {
    month: i for i, month in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}


class Hashtag(msgspec.Struct, gc=False):
    """v1.1 calls it text, v2 tag."""

    text: str = ""
    tag: str = ""


class Mentioned(msgspec.Struct, gc=False):
    """v1.1 calls it screen_name, v2 username."""

    screen_name: str = ""
    username: str = ""


class Link(msgspec.Struct, gc=False):
    """A t.co link and what it stands for."""

    expanded_url: str | None = None
    unwound_url: str | None = None


class Entities(msgspec.Struct, gc=False):
    """What X found in the text, of both versions."""

    hashtags: list[Hashtag] | None = None
    urls: list[Link] | None = None
    mentions: list[Mentioned] | None = None
    user_mentions: list[Mentioned] | None = None

    def tags(self) -> tuple[str, ...]:
        """Hashtags without '#'."""
        return names((tag.text or tag.tag for tag in self.hashtags or ()), "#")

    def handles(self) -> tuple[str, ...]:
        """Handles without '@'."""
        return names((who.screen_name or who.username for who in (*(self.mentions or ()), *(self.user_mentions or ()))), "@")

    def links(self) -> tuple[str, ...]:
        """Links as their authors wrote them."""
        return web_urls(link.unwound_url or link.expanded_url for link in self.urls or ())


class _User(msgspec.Struct, gc=False):
    id: int | str | None = None
    id_str: str | None = None
    screen_name: str = ""
    followers_count: int | None = None
    created_at: str | None = None


class _Extended(msgspec.Struct, gc=False):
    full_text: str | None = None
    entities: Entities | None = None


class TweetV1(msgspec.Struct, gc=False):
    """A v1.1 tweet; `id` loses digits in JavaScript and in X's own examples, so `id_str` goes first."""

    id: int | str | None = None
    id_str: str | None = None
    text: str | None = None
    full_text: str | None = None
    extended_tweet: _Extended | None = None
    created_at: str | None = None
    lang: str | None = None
    user: _User | None = None
    entities: Entities | None = None
    in_reply_to_status_id: int | str | None = None
    in_reply_to_status_id_str: str | None = None
    quoted_status_id: int | str | None = None
    quoted_status_id_str: str | None = None
    retweeted_status: TweetV1 | None = None


class _Deleted(msgspec.Struct, gc=False):
    id: int | str | None = None
    id_str: str | None = None
    user_id: int | str | None = None
    user_id_str: str | None = None
    author_id: int | str | None = None


class Delete(msgspec.Struct, gc=False):
    """A delete notice: of `status` in v1.1, of `tweet` in v2, of `favorite` where a like was taken back."""

    status: _Deleted | None = None
    tweet: _Deleted | None = None
    favorite: msgspec.Raw = msgspec.Raw()
    timestamp_ms: str | int | None = None
    event_at: str | None = None


def from_v1(tweet: TweetV1) -> Event:
    """The event of a v1.1 tweet."""
    post_id = identifier(tweet.id_str or tweet.id)
    if not post_id:
        raise MalformedEvent("missing_id", "a tweet without id")
    if tweet.text is None and tweet.full_text is None:
        raise MalformedEvent("not_an_event", "expected a tweet with text or full_text")
    kind, target_id = _relation(tweet)
    shown = tweet.retweeted_status or tweet  # a retweet repeats the original, cut
    extended = shown.extended_tweet or _Extended()
    entities = extended.entities or shown.entities or Entities()
    user = tweet.user or _User()
    return Event(
        post_id,
        kind,
        "x",
        post_id,
        text=plain_text(extended.full_text or shown.full_text or shown.text),
        author=identifier(user.id_str or user.id) or identifier(user.screen_name),
        created_ms=_created_ms(post_id, tweet.created_at),
        lang=language(tweet.lang),
        url=post_url(user.screen_name, post_id),
        target_id=target_id,
        tags=entities.tags(),
        mentions=entities.handles(),
        links=entities.links(),
        followers=follower_count(user.followers_count),
        author_created_ms=_account_ms(user.created_at),
    )


def deleted(delete: Delete) -> Event | Skipped:
    """The delete of a post; a like taken back is skipped."""
    if bytes(delete.favorite) not in (b"", b"null"):
        return Skipped("unlike")
    gone = delete.status or delete.tweet or _Deleted()
    post_id = identifier(gone.id_str or gone.id)
    if not post_id:
        raise MalformedEvent("missing_target", "a delete without the id of its post")
    author = identifier(gone.user_id_str or gone.user_id or gone.author_id)
    stamp = str(delete.timestamp_ms or "")
    at_ms = time_ms(int(stamp)) if stamp.isdecimal() and len(stamp) < 16 else iso_ms_or_none(delete.event_at)
    return Event(delete_id(post_id), "delete", "x", post_id, author=author, created_ms=at_ms)


def plain_text(text: str | None) -> str:
    """The text without X's three escapes, cut to length."""
    if text and "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return cut(text)


def post_url(handle: str, post_id: str) -> str:
    """The public link; X itself finds the handle where it is not known."""
    return web_url(f"https://x.com/{handle or 'i'}/status/{post_id}")


def snowflake_ms(post_id: str) -> int | None:
    """When the id was made, UTC epoch ms; None for ids older than November 2010 and what is no id of X."""
    if not (post_id.isascii() and post_id.isdecimal() and len(post_id) < 20) or int(post_id) < _FIRST_SNOWFLAKE:
        return None
    return (int(post_id) >> 22) + _SNOWFLAKE_EPOCH_MS


def _created_ms(post_id: str, created_at: str | None) -> int | None:
    """`created_at` is cut to seconds; the id knows the milliseconds."""
    made_ms = snowflake_ms(post_id)
    if created_at is None:
        return made_ms
    said_ms = _ctime_ms(created_at)
    return made_ms if made_ms is not None and abs(made_ms - said_ms) < 2_000 else said_ms


def _account_ms(created_at: str | None) -> int | None:
    try:
        return None if created_at is None else _ctime_ms(created_at)
    except MalformedEvent:
        return None


def _ctime_ms(text: str) -> int:
    """UTC epoch ms of "Sun Aug 24 20:40:22 +0000 2014", whatever the locale."""
    parts = text.split() if len(text) < 64 else ()
    if len(parts) == 6 and parts[1] in _MONTHS and parts[4] == "+0000":
        try:
            hour, minute, second = map(int, parts[3].split(":"))
            moment = datetime(int(parts[5]), _MONTHS[parts[1]], int(parts[2]), hour, minute, second, tzinfo=UTC)
        except ValueError:
            pass
        else:
            return time_ms(int(moment.timestamp()) * 1000)
    raise MalformedEvent("bad_time", f"{text[:80]!r} is no time of X v1.1, such as 'Sun Aug 24 20:40:22 +0000 2014'")


def _relation(tweet: TweetV1) -> tuple[Kind, str]:
    if tweet.retweeted_status:
        target_id = identifier(tweet.retweeted_status.id_str or tweet.retweeted_status.id)
        if not target_id:
            raise MalformedEvent("missing_target", "a retweet of a tweet without id")
        return "repost", target_id
    quoted = identifier(tweet.quoted_status_id_str or tweet.quoted_status_id)
    if quoted:
        return "quote", quoted
    replied_to = identifier(tweet.in_reply_to_status_id_str or tweet.in_reply_to_status_id)
    return ("reply", replied_to) if replied_to else ("post", "")
