"""X v2: a post of the filtered stream with its expansions."""

from __future__ import annotations

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Kind
from schemas.fields import follower_count, identifier, iso_ms, iso_ms_or_none, language
from schemas.platforms.x_v1 import Entities, plain_text, post_url, snowflake_ms

_KINDS: tuple[tuple[str, Kind], ...] = (("retweeted", "repost"), ("quoted", "quote"), ("replied_to", "reply"))


class _Reference(msgspec.Struct, gc=False):
    type: str = ""
    id: str | int | None = None


class _Note(msgspec.Struct, gc=False):
    """The whole of a post above 280 characters."""

    text: str | None = None
    entities: Entities | None = None


class TweetV2(msgspec.Struct, gc=False):
    """A v2 post; only id and text come without asking."""

    id: str | int | None = None
    text: str | None = None
    author_id: str | int | None = None
    created_at: str | None = None
    lang: str | None = None
    edit_history_tweet_ids: list[str] | None = None
    referenced_tweets: list[_Reference] | None = None
    entities: Entities | None = None
    note_tweet: _Note | None = None


class _Metrics(msgspec.Struct, gc=False):
    followers_count: int | None = None


class _User(msgspec.Struct, gc=False):
    id: str | int | None = None
    username: str = ""
    created_at: str | None = None
    public_metrics: _Metrics | None = None


class IncludesV2(msgspec.Struct, gc=False):
    """What the expansions brought: the users and posts that `data` names."""

    users: list[_User] | None = None
    tweets: list[TweetV2] | None = None


def from_v2(tweet: TweetV2, includes: IncludesV2 | None) -> Event:
    """The event of a v2 post: an edit has an id of its own and belongs to the first of its history."""
    event_id, author = identifier(tweet.id), identifier(tweet.author_id)
    if not event_id:
        raise MalformedEvent("missing_id", "a post without id")
    if tweet.text is None:
        raise MalformedEvent("not_an_event", "expected a post with text")
    kind, target_id = _relation(tweet.referenced_tweets)
    shown = _reposted(target_id, includes) if kind == "repost" else None
    text, entities = _words(shown or tweet)
    history = tweet.edit_history_tweet_ids or [event_id]
    first_id = identifier(history[0]) or event_id
    user = _author(author, includes)
    return Event(
        event_id,
        "edit" if first_id != event_id else kind,
        "x",
        first_id,
        text=plain_text(text),
        author=author,
        created_ms=snowflake_ms(event_id) if tweet.created_at is None else iso_ms(tweet.created_at),
        lang=language(tweet.lang),
        url=post_url(user.username, event_id),
        target_id=target_id,
        tags=entities.tags(),
        mentions=entities.handles(),
        links=entities.links(),
        followers=follower_count(user.public_metrics.followers_count) if user.public_metrics else None,
        author_created_ms=iso_ms_or_none(user.created_at),
    )


def _relation(references: list[_Reference] | None) -> tuple[Kind, str]:
    """A reply may quote as well; the quote goes first, as in canonical events."""
    targets = {reference.type: identifier(reference.id) for reference in references or ()}
    for type_, kind in _KINDS:
        if targets.get(type_):
            return kind, targets[type_]
    if "retweeted" in targets:
        raise MalformedEvent("missing_target", "a retweet without the id of its post")
    return "post", ""


def _reposted(target_id: str, includes: IncludesV2 | None) -> TweetV2 | None:
    """The post reposted, if the expansions brought it: the repost itself repeats its text, cut at 140 characters."""
    posts = includes.tweets if includes and includes.tweets else ()
    return next((post for post in posts if str(post.id) == target_id and post.text is not None), None)


def _words(post: TweetV2) -> tuple[str | None, Entities]:
    note = post.note_tweet
    if note and note.text:
        return note.text, note.entities or post.entities or Entities()
    return post.text, post.entities or Entities()


def _author(author: str, includes: IncludesV2 | None) -> _User:
    users = includes.users if includes and includes.users else ()
    return next((user for user in users if str(user.id) == author), _User())
