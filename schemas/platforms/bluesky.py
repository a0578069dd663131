"""Bluesky: messages of Jetstream (v1, and the frames of v2's subscribeEvents) about posts and reposts.

A post is its at-uri, made of did, collection and rkey: the only key that a delete carries. `createdAt` is the client's word;
where that is no time, the server's `time_us` stands in, because the post itself is real.
"""

from __future__ import annotations

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Kind, Skipped, delete_id, edit_id
from schemas.fields import MAX_NAMES, cut, identifier, iso_ms_or_none, language, names, time_ms, web_urls
from schemas.wire import parse

_POST = "app.bsky.feed.post"
_REPOST = "app.bsky.feed.repost"
_SKIPPED = {  # few words for a metric label, since anybody can invent collections
    "app.bsky.feed.like": "like",
    "app.bsky.graph.follow": "follow",
    "app.bsky.graph.block": "block",
    "app.bsky.actor.profile": "profile",
}
_KINDS = frozenset(("identity", "account", "sync", "info"))
_OPERATIONS = frozenset(("create", "update", "delete"))


class _Ref(msgspec.Struct, gc=False):
    uri: str = ""


class _Quoted(msgspec.Struct, gc=False):
    """A strong reference, or (with media) one wrapped once more."""

    uri: str = ""
    record: _Ref | None = None


class _Embed(msgspec.Struct, gc=False):
    external: _Ref | None = None
    media: _Embed | None = None
    record: _Quoted | None = None


class _Feature(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="$type", default="")
    uri: str = ""
    tag: str = ""
    did: str = ""


class _Span(msgspec.Struct, gc=False, rename="camel"):
    byte_start: int = 0
    byte_end: int = 0


class _Facet(msgspec.Struct, gc=False):
    features: list[_Feature] = []
    index: _Span | None = None


class _Reply(msgspec.Struct, gc=False):
    parent: _Ref | None = None


class _Record(msgspec.Struct, gc=False):
    """A post, or a repost: that has `subject` in place of a text."""

    text: str = ""
    created_at: str | None = msgspec.field(name="createdAt", default=None)
    langs: list[str] | None = None
    tags: list[str] | None = None
    facets: list[_Facet] | None = None
    reply: _Reply | None = None
    embed: _Embed | None = None
    subject: _Ref | None = None


class _Commit(msgspec.Struct, gc=False):
    operation: str = ""
    collection: str = ""
    rkey: str = ""
    record: msgspec.Raw = msgspec.Raw()
    rev: str = ""
    type: str = ""  # the wire of summer 2024 has "c", "u", "d" here in place of `operation`


class _FramePayload(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="$type", default="")
    did: str = ""
    time: str | None = None
    operation: str = ""
    collection: str = ""
    rkey: str = ""
    record: msgspec.Raw = msgspec.Raw()
    rev: str = ""


class _Message(msgspec.Struct, gc=False):
    did: str = ""
    time_us: int | None = None
    kind: str = ""
    commit: _Commit | None = None
    payload: _FramePayload | None = None
    type: str = ""


_decode = msgspec.json.Decoder(_Message).decode
_decode_record = msgspec.json.Decoder(_Record).decode


def decode_bluesky(data: bytes) -> Event | Skipped:
    """The post, edit, repost or delete of one Jetstream message; likes, follows, identities and the like are skipped."""
    message = parse(_decode, data)
    if message.payload is not None:
        return _from_frame(message.payload)
    if message.kind in _KINDS:
        return Skipped(message.kind)
    if message.type or (message.commit is not None and message.commit.type):
        raise MalformedEvent("unsupported", "Jetstream's wire before its first release (type com/id/acc); send kind and operation")
    if message.kind != "commit" or message.commit is None:
        raise MalformedEvent("not_an_event", f"expected a Jetstream message, got kind {message.kind[:40]!r}")
    return _from_commit(message.did, message.time_us, message.commit)


def _from_frame(payload: _FramePayload) -> Event | Skipped:
    kind = payload.type.rpartition("#")[2]
    if kind in _KINDS:
        return Skipped(kind)
    if kind != "commit":
        raise MalformedEvent("not_an_event", f"expected a frame of subscribeEvents, got {payload.type[:80]!r}")
    seen_ms = iso_ms_or_none(payload.time)
    commit = _Commit(payload.operation, payload.collection, payload.rkey, payload.record, payload.rev)
    return _from_commit(payload.did, None if seen_ms is None else seen_ms * 1000, commit)


def _from_commit(did: str, time_us: int | None, commit: _Commit) -> Event | Skipped:
    if commit.collection not in (_POST, _REPOST):
        return Skipped(_SKIPPED.get(commit.collection, "other record"))
    if commit.operation not in _OPERATIONS:
        raise MalformedEvent("not_an_event", f"operation {commit.operation[:40]!r} is none of create, update, delete")
    if not did or not commit.rkey:
        raise MalformedEvent("missing_id", "a commit needs did and rkey")
    post_id = identifier(f"at://{did}/{commit.collection}/{commit.rkey}")
    seen_ms = None if time_us is None else time_ms(time_us // 1000)
    if commit.operation == "delete":
        return Event(delete_id(post_id), "delete", "bluesky", post_id, author=did, created_ms=seen_ms)
    if bytes(commit.record) in (b"", b"null"):
        raise MalformedEvent("not_an_event", f"{commit.operation} without record")
    record = parse(_decode_record, bytes(commit.record))
    if commit.collection == _REPOST:
        return _repost(post_id, did, seen_ms, record)
    post = _post(post_id, did, seen_ms, record, f"https://bsky.app/profile/{did}/post/{commit.rkey}")
    if commit.operation == "create":
        return post
    own_id = f"{post_id}#edit@{commit.rev}" if commit.rev else edit_id(post_id, seen_ms, post.text)
    return msgspec.structs.replace(post, id=own_id, kind="edit", created_ms=seen_ms or post.created_ms)


def _repost(post_id: str, did: str, seen_ms: int | None, record: _Record) -> Event:
    target_id = identifier(record.subject.uri) if record.subject else ""
    if not target_id:
        raise MalformedEvent("missing_target", "a repost without subject")
    created_ms = _created_ms(record, seen_ms)
    return Event(post_id, "repost", "bluesky", post_id, author=did, created_ms=created_ms, target_id=target_id)


def _post(post_id: str, did: str, seen_ms: int | None, record: _Record, url: str) -> Event:
    kind, target_id = _relation(record)
    tags, mentions, links = _facets(record) if record.facets else ([], [], [])
    card = record.embed and (record.embed.external or (record.embed.media and record.embed.media.external))
    return Event(
        post_id,
        kind,
        "bluesky",
        post_id,
        text=cut(record.text),
        author=did,
        created_ms=_created_ms(record, seen_ms),
        lang=language(record.langs[0]) if record.langs else "",
        url=url,
        target_id=target_id,
        tags=names([*tags, *(record.tags or ())], "#"),
        mentions=names(mentions, "@"),
        links=web_urls([*links, card.uri] if card else links),
    )


def _created_ms(record: _Record, seen_ms: int | None) -> int | None:
    created_ms = iso_ms_or_none(record.created_at)
    return seen_ms if created_ms is None else created_ms


def _relation(record: _Record) -> tuple[Kind, str]:
    """A quote is one of a post: lists, feeds and starter packs are embedded as records too."""
    quoted = record.embed and record.embed.record
    if quoted:
        uri = quoted.record.uri if quoted.record else quoted.uri
        if f"/{_POST}/" in uri:
            return "quote", identifier(uri)
    if record.reply and record.reply.parent:
        return "reply", identifier(record.reply.parent.uri)
    return "post", ""


def _facets(record: _Record) -> tuple[list[str], list[str], list[str]]:
    """Tags, mentioned handles and links; facets index the text by UTF-8 bytes."""
    text = record.text.encode()
    tags, mentions, links = [], [], []
    for facet in (record.facets or ())[:MAX_NAMES]:
        for feature in facet.features[:MAX_NAMES]:
            if feature.tag:
                tags.append(feature.tag)
            elif feature.uri:
                links.append(feature.uri)
            elif feature.did:
                mentions.append(_handle(text, facet.index) or feature.did)
    return tags, mentions, links


def _handle(text: bytes, span: _Span | None) -> str:
    """The handle as written; "" where the span does not hold one. The did alone says nothing to a reader of hashtags."""
    written = text[max(span.byte_start, 0) : max(span.byte_end, 0)].decode(errors="ignore") if span else ""
    return written[1:] if written.startswith("@") else ""
