"""X: messages of the v2 filtered stream and compliance streams, and v1.1 tweets with their notices.

Posts come escaped (&amp; &lt; &gt;) and shortened: the long text, the text of the post reposted and the links behind
t.co are put in their place. An id of the snowflake kind tells the time to the millisecond where `created_at` does not.
"""

from __future__ import annotations

import msgspec

from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.platforms.x_v1 import Delete, TweetV1, deleted, from_v1
from schemas.platforms.x_v2 import IncludesV2, TweetV2, from_v2
from schemas.wire import parse

_NOTICES = {  # what else the streams say, and the few words it is counted under
    "errors": "error",
    "disconnect": "error",
    "limit": "limit",
    "warning": "limit",
    **dict.fromkeys(("status_withheld", "user_withheld", "withheld", "drop", "undrop", "scrub_geo", "tweet_edit"), "compliance"),
    **dict.fromkeys(("user_delete", "user_undelete", "user_protect", "user_unprotect"), "compliance"),
    **dict.fromkeys(("user_suspend", "user_unsuspend", "user_profile_modification"), "compliance"),
    **dict.fromkeys(("friends", "friends_str", "event", "for_user"), "other message"),
}


class _Data(TweetV2, gc=False):
    """A post, or in the compliance streams what happened to one."""

    delete: Delete | None = None


class _Message(TweetV1, gc=False):
    """A v1.1 tweet as it is, or the v2 envelope, or a notice."""

    data: _Data | None = None
    includes: IncludesV2 | None = None
    delete: Delete | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_x(data: bytes) -> Event | Skipped:
    """The post, reply, repost, quote, edit or delete; stream errors, limits and other compliance notices are skipped."""
    message = parse(_decode, data)
    delete = message.delete or (message.data.delete if message.data else None)
    if delete:
        return deleted(delete)
    if message.data and message.data.id is not None:
        return from_v2(message.data, message.includes)
    if message.id_str is not None or message.id is not None:
        return from_v1(message)
    keys = parse(_decode_keys, data)
    if message.data:
        keys |= parse(_decode_keys, bytes(keys["data"]))
    for key in keys:
        if key in _NOTICES:
            return Skipped(_NOTICES[key])
    if message.data:
        raise MalformedEvent("missing_id", "a post without id")
    raise MalformedEvent("not_an_event", f"expected a tweet, a stream message or a notice, got {', '.join(list(keys)[:8])[:150]!r}")
