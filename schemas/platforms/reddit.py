"""Reddit: things of kind t1 (comment) and t3 (submission), wrapped as in a listing or bare; one thing per record.

Reddit sends no deletes: a poll finds "[deleted]" or "[removed]" in place of the text, and that becomes the delete event.
"""

from __future__ import annotations

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Kind, Skipped, delete_id, edit_id
from schemas.fields import cut, identifier, name, time_ms, web_url, web_urls
from schemas.wire import parse

_GONE = frozenset(("[deleted]", "[removed]", "[ Removed by Reddit ]"))
_SITE = "https://www.reddit.com"
_MAX_SECONDS = 10**10


class _Thing(msgspec.Struct, gc=False):
    id: str | int | None = None
    name: str = ""
    author: str | None = None
    author_fullname: str | None = None
    body: str | None = None
    title: str | None = None
    selftext: str | None = None
    subreddit: str | None = None
    parent_id: str | None = None
    crosspost_parent: str | None = None
    link_id: str | None = None
    permalink: str | None = None
    url: str | None = None
    is_self: bool | None = None
    created_utc: float | None = None
    edited: bool | float | None = None
    removed_by_category: str | None = None


class _Message(_Thing, gc=False):
    """A bare thing, or `{kind, data}` around one."""

    kind: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Message).decode
_decode_thing = msgspec.json.Decoder(_Thing).decode


def decode_reddit(data: bytes) -> Event | Skipped:
    """The comment or submission, its edit, or its delete; accounts, subreddits and "more" stubs are skipped."""
    message = parse(_decode, data)
    if message.kind is None:
        return _from_thing(message, message.name[:2])
    if message.kind == "Listing":
        raise MalformedEvent("unsupported", "a Listing holds many events: send each of its children as a record")
    if message.kind not in ("t1", "t3"):
        return Skipped("more" if message.kind == "more" else "other thing")
    if bytes(message.data) in (b"", b"null"):
        raise MalformedEvent("not_an_event", f"{message.kind} without data")
    return _from_thing(parse(_decode_thing, bytes(message.data)), message.kind)


def _from_thing(thing: _Thing, kind: str) -> Event | Skipped:
    if kind not in ("t1", "t3"):
        raise MalformedEvent("not_an_event", "expected a thing of kind t1 or t3, or one with a name that says so")
    own_id = identifier(thing.id)
    post_id = identifier(thing.name) or (f"{kind}_{own_id}" if own_id else "")
    if not post_id:
        raise MalformedEvent("missing_id", f"{kind} without name and id")
    words = thing.body if kind == "t1" else thing.selftext
    if words in _GONE or thing.removed_by_category:
        return Event(delete_id(post_id), "delete", "reddit", post_id)  # since when is not said
    if words is None and thing.title is None:
        raise MalformedEvent("not_an_event", f"{kind} without body or title")
    return _post(thing, post_id, _unescape("\n\n".join(filter(None, (thing.title, words)))))


def _post(thing: _Thing, post_id: str, text: str) -> Event:
    kind, target_id = _relation(thing)
    created_ms = None if thing.created_utc is None else _seconds_ms(thing.created_utc)
    event_id = post_id
    if thing.edited:  # True on the oldest posts: edited, nobody knows when
        edited_ms = None if thing.edited is True else _seconds_ms(thing.edited)
        kind, event_id, created_ms = "edit", edit_id(post_id, edited_ms, text), edited_ms or created_ms
    author = thing.author if thing.author not in _GONE else ""
    return Event(
        event_id,
        kind,
        "reddit",
        post_id,
        text=cut(text),
        author=identifier(thing.author_fullname or author) if author else "",
        created_ms=created_ms,
        url=_url(thing, post_id),
        target_id=target_id,
        community=name(f"r/{thing.subreddit}") if thing.subreddit else "",
        links=web_urls([thing.url]) if thing.url and not thing.is_self else (),
    )


def _relation(thing: _Thing) -> tuple[Kind, str]:
    if thing.crosspost_parent:
        return "quote", identifier(thing.crosspost_parent)
    return ("reply", identifier(thing.parent_id)) if thing.parent_id else ("post", "")


def _url(thing: _Thing, post_id: str) -> str:
    """Old comments come without permalink; their link is made of the ids."""
    if thing.permalink:
        return web_url(_SITE + thing.permalink if thing.permalink.startswith("/") else thing.permalink)
    short = post_id[3:]
    path = f"{thing.link_id[3:]}/_/{short}" if thing.link_id else short
    return web_url(f"{_SITE}/comments/{path}")


def _unescape(text: str) -> str:
    """Without raw_json=1 Reddit escapes these three, and no others."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text


def _seconds_ms(seconds: float) -> int:
    if abs(seconds) > _MAX_SECONDS:
        raise MalformedEvent("bad_time", f"{seconds:g} s is outside years 1970..2200")
    return time_ms(round(seconds * 1000))
