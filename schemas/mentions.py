"""An enriched event that names a tracked brand: one record per post on social.mentions, and the row store keeps of it."""

from __future__ import annotations

import msgspec
import orjson


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """One post that names `brands`, or (`deleted`) the order to forget one. The author is a keyed hash."""

    post_id: str
    platform: str
    version: int  # log clock in ms of the event; a delete has DELETED_VERSION, so it wins for ever
    deleted: bool = False
    kind: str = "post"
    brands: tuple[str, ...] = ()
    event_ms: int = 0
    text: str = ""
    lang: str = ""
    author_hash: int | None = None  # None: unknown
    followers: int | None = None
    sentiment_milli: int | None = None  # None: language not supported
    url: str = ""
    community: str = ""
    terms: tuple[str, ...] = ()  # all terms of the post

    @property
    def key(self) -> bytes:
        """The record's key: a post and the order to forget it share a partition. Ids are a platform's own, so both are in it."""
        return f"{self.platform}:{self.post_id}".encode()


DELETED_VERSION = 2**63 - 1

_decoder = msgspec.json.Decoder(Mention)


def encode_mention(mention: Mention) -> bytes:
    """The mention as JSON; same mention, same bytes."""
    return orjson.dumps(msgspec.to_builtins(mention))


def decode_mention(data: bytes) -> Mention:
    """The mention of `encode_mention`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
