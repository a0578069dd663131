"""Mastodon: frames of the streaming API (WebSocket envelopes, raw SSE frames) and plain statuses.

`post_id` is the instance's own id, because a delete, a reply and a boost know no other; the event id is the `uri`, which
is the same on every instance that shows the post. Private and direct statuses are skipped: they were not said in public.
"""

from __future__ import annotations

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Kind, Skipped, delete_id, edit_id
from schemas.fields import cut, follower_count, identifier, iso_ms, iso_ms_or_none, language, name, names, web_url, web_urls
from schemas.platforms.html_text import html_text
from schemas.wire import check_limits, parse

_SKIPPED_EVENTS = frozenset(
    ("notification", "filters_changed", "conversation", "announcement", "announcement.reaction", "announcement.delete")
)
_POST_EVENTS = frozenset(("update", "status.update"))
_PUBLIC = frozenset(("public", "unlisted"))
_SSE_STARTS = (b"event:", b"data:", b"id:", b":")  # JSON starts with none of these
_MAX_SSE_LINES = 100  # a frame has two


class _Account(msgspec.Struct, gc=False):
    id: str | int | None = None
    acct: str = ""
    followers_count: int | None = None
    created_at: str | None = None


class _Tag(msgspec.Struct, gc=False):
    name: str = ""


class _Mention(msgspec.Struct, gc=False):
    acct: str = ""


class _Card(msgspec.Struct, gc=False):
    url: str | None = None


class _Quoted(msgspec.Struct, gc=False):
    id: str | int | None = None


class _Quote(msgspec.Struct, gc=False):
    quoted_status: _Quoted | None = None
    quoted_status_id: str | int | None = None


class _Status(msgspec.Struct, gc=False):
    id: str | int | None = None
    uri: str | None = None
    url: str | None = None
    content: str | None = None
    spoiler_text: str | None = None
    created_at: str | None = None
    edited_at: str | None = None
    language: str | None = None
    visibility: str | None = None
    in_reply_to_id: str | int | None = None
    account: _Account | None = None
    tags: list[_Tag] | None = None
    mentions: list[_Mention] | None = None
    card: _Card | None = None
    quote: _Quote | None = None
    reblog: _Status | None = None


class _Message(_Status, gc=False):
    """A status as it is, or the streaming API's envelope around one."""

    event: str | None = None
    payload: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Message).decode
_decode_status = msgspec.json.Decoder(_Status).decode
_decode_string = msgspec.json.Decoder(str).decode


def decode_mastodon(data: bytes) -> Event | Skipped:
    """The post, boost, edit or delete of one frame or status; notifications, announcements and heartbeats are skipped."""
    if data and data.startswith(_SSE_STARTS):
        return _from_sse(data)
    message = parse(_decode, data)
    if message.event is not None:
        return _from_stream(message.event, bytes(message.payload))
    return _from_status(message, edited=False)


def _from_sse(data: bytes) -> Event | Skipped:
    """One frame of server-sent events: lines of `field: value`; a line that starts with a colon is a heartbeat."""
    check_limits(data)
    event, payload = "", b""
    for line in data.splitlines()[:_MAX_SSE_LINES]:
        field, _, value = line.partition(b":")
        if field == b"event":
            event = value.strip().decode(errors="replace")
        elif field == b"data":
            payload += value.strip()
    return _from_stream(event, payload) if event or payload else Skipped("heartbeat")


def _from_stream(event: str, payload: bytes) -> Event | Skipped:
    if event in _SKIPPED_EVENTS:
        return Skipped(event)
    if event != "delete" and event not in _POST_EVENTS:
        raise MalformedEvent("unsupported", f"event {event[:40]!r} of the streaming API")
    text = parse(_decode_string, payload).encode() if payload.startswith(b'"') else payload.strip()
    if event == "delete":
        return _delete(text.decode(errors="replace"))
    if not text:
        raise MalformedEvent("not_an_event", f"{event} without payload")
    return _from_status(parse(_decode_status, text), edited=event == "status.update")


def _delete(post_id: str) -> Event:
    if not post_id or post_id.startswith(("{", "[")):
        raise MalformedEvent("missing_target", "a delete needs the status id as payload")
    identifier(post_id)
    return Event(delete_id(post_id), "delete", "mastodon", post_id)


def _from_status(status: _Status, *, edited: bool) -> Event | Skipped:
    account = status.account
    if account is None or (status.content is None and status.reblog is None):
        raise MalformedEvent("not_an_event", "expected a status with account and content, or an envelope with event and payload")
    if (status.visibility or "public") not in _PUBLIC:
        return Skipped("private")
    post_id = identifier(status.id)
    if not post_id:
        raise MalformedEvent("missing_id", "a status without id")
    kind, target_id = _relation(status)
    shown = status.reblog or status  # a boost has no words of its own
    body, links = html_text(shown.content or "")
    text = cut(f"{shown.spoiler_text}\n{body}" if shown.spoiler_text else body)
    event_id, created_ms = identifier(status.uri) or post_id, None if status.created_at is None else iso_ms(status.created_at)
    if edited:
        kind, created_ms = "edit", iso_ms(status.edited_at) if status.edited_at else created_ms
        event_id = edit_id(event_id, created_ms, text)
    return Event(
        event_id,
        kind,
        "mastodon",
        post_id,
        text=text,
        author=identifier(account.id) or identifier(account.acct),
        created_ms=created_ms,
        lang=language(shown.language),
        url=web_url(shown.url or shown.uri),
        target_id=target_id,
        community=_instance(account.acct, status.uri),
        tags=names((tag.name for tag in shown.tags), "#") if shown.tags else (),
        mentions=names((mention.acct for mention in shown.mentions), "@") if shown.mentions else (),
        links=web_urls([*links, shown.card.url] if shown.card else links),
        followers=follower_count(account.followers_count),
        author_created_ms=iso_ms_or_none(account.created_at),
    )


def _relation(status: _Status) -> tuple[Kind, str]:
    if status.reblog:
        target_id = identifier(status.reblog.id)
        if not target_id:
            raise MalformedEvent("missing_target", "a boost of a status without id")
        return "repost", target_id
    quoted = status.quote and identifier(
        status.quote.quoted_status.id if status.quote.quoted_status else status.quote.quoted_status_id
    )
    if quoted:
        return "quote", quoted
    replied_to = identifier(status.in_reply_to_id)
    return ("reply", replied_to) if replied_to else ("post", "")


def _instance(acct: str, uri: str | None) -> str:
    """Host of the author's instance: said in the handle of a remote account, in the uri of a local one."""
    host = acct.rpartition("@")[2] if "@" in acct else (uri or "").partition("://")[2].partition("/")[0]
    return name(host).lower()
