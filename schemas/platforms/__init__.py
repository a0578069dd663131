"""What the platforms really send, as the one `Event`: a decoder per platform, chosen by name per raw topic.

Every decoder keeps the promise of `decode_event`: an Event, `Skipped` for a well-formed message that is no post,
or MalformedEvent with a reason; no other exception on any bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.errors import ConfigurationError
from schemas.events import Event, Skipped, decode_event
from schemas.platforms.bluesky import decode_bluesky
from schemas.platforms.mastodon import decode_mastodon
from schemas.platforms.reddit import decode_reddit
from schemas.platforms.x import decode_x

Decoder = Callable[[bytes], Event | Skipped]

DECODERS: dict[str, Decoder] = {
    "canonical": decode_event,
    "bluesky": decode_bluesky,
    "mastodon": decode_mastodon,
    "x": decode_x,
    "reddit": decode_reddit,
}


def decoder(platform: str) -> Decoder:
    """The decoder of this platform's records; raises ConfigurationError for a name it does not know."""
    try:
        return DECODERS[platform]
    except KeyError:
        raise ConfigurationError(f"no decoder for platform {platform!r}: use one of {', '.join(DECODERS)}") from None
